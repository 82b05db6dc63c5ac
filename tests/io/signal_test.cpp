#include <weft/io/signal.hpp>

#include <weft/runtime/join/when_all.hpp>
#include <weft/runtime/scope/scope.hpp>
#include <weft/runtime/task/as_result.hpp>
#include <weft/runtime/time/timeout.hpp>
#include <weft/tests/support/io_fixture.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <system_error>

#include <signal.h>
#include <unistd.h>

using namespace std::chrono_literals;
using namespace weft::test;
using weft::task;

namespace {

void raise_in_process(int number) {
    CHECK(::kill(::getpid(), number) == 0);
}

}  // namespace

TEST_SUITE("io/signal") {
    TEST_CASE("a signal that came before the wait is delivered") {
        weft::signal_set signals({SIGUSR1, SIGUSR2});
        on_one_and_two_workers([&](auto&) -> task<> {
            raise_in_process(SIGUSR2);
            CHECK(co_await signals.next() == SIGUSR2);
        });
    }

    TEST_CASE("a signal wakes the task that waits for it, again and again") {
        weft::signal_set signals({SIGUSR1});
        on_one_and_two_workers([&](auto&) -> task<> {
            auto wait = [](weft::signal_set& set) -> task<> {
                for (int i = 0; i < 20; ++i) {
                    CHECK(co_await set.next() == SIGUSR1);
                }
            };
            auto send = [](weft::signal_set&) -> task<> {
                for (int i = 0; i < 20; ++i) {
                    raise_in_process(SIGUSR1);
                    ::sigset_t pending;
                    do {
                        co_await let_others_run();
                        ::sigpending(&pending);
                    } while (::sigismember(&pending, SIGUSR1) == 1);
                }
            };
            co_await weft::when_all(wait(signals), send(signals));
        });
    }

    TEST_CASE("a wait that is stopped takes no signal") {
        weft::signal_set signals({SIGUSR1});
        on_one_and_two_workers([&](auto&) -> task<> {
            auto const stopped = co_await weft::as_result(weft::timeout(1ms, signals.next()));
            CHECK(stopped.error() == std::errc::timed_out);
            raise_in_process(SIGUSR1);
            CHECK(co_await signals.next() == SIGUSR1);
        });
    }

    TEST_CASE("a task that is stopped already takes no signal") {
        weft::signal_set signals({SIGUSR1});
        on_one_and_two_workers([&](auto&) -> task<> {
            raise_in_process(SIGUSR1);
            auto const stopped = co_await weft::as_result(weft::timeout(0ms, signals.next()));
            CHECK(stopped.error() == std::errc::timed_out);
            CHECK(co_await signals.next() == SIGUSR1);
        });
    }

    TEST_CASE("a number that is no signal is refused") {
        CHECK_THROWS_AS(weft::signal_set({4711}), std::system_error);
    }
}
