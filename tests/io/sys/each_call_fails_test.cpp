/// Each system call of a program fails once, with each error that it may give: the program ends
/// with what it should, or tells of that error, and leaves nothing behind.

#include <weft/io/net/tcp.hpp>
#include <weft/io/runtime.hpp>
#include <weft/io/signal.hpp>
#include <weft/runtime/join/when_all.hpp>
#include <weft/tests/support/fd_count.hpp>

#include <doctest/doctest.h>

#include <array>
#include <set>
#include <string>
#include <system_error>

#include <signal.h>
#include <unistd.h>

using weft::task;
using weft::test::faults;
using weft::test::fd_count;

namespace {

constexpr unsigned picks = 4;  // no call has more errors

/// What the program got, as far as it came.
struct outcome {
    bool is_complete = false;
    std::string told;  // the error that ended it
};

task<> serve(weft::tcp_listener& listener) {
    weft::tcp_stream stream = co_await listener.accept();
    std::array<char, 4> first{};
    co_await stream.read_exact(weft::mutable_buffer(first.data(), first.size()));
    std::array<char, 3> left{};
    std::array<char, 5> right{};
    std::array<weft::mutable_buffer, 2> const parts{
        weft::mutable_buffer(left.data(), left.size()),
        weft::mutable_buffer(right.data(), right.size())};
    std::size_t const count = co_await stream.read_some(parts);
    co_await stream.write_all(weft::const_buffer(left.data(), count < 3 ? count : 3));
    co_await stream.close();
}

task<> ask(weft::address to) {
    weft::tcp_stream stream = co_await weft::tcp_stream::connect(to);
    co_await stream.write_all(weft::const_buffer("four", 4));
    std::array<weft::const_buffer, 2> const parts{weft::const_buffer("and", 3),
                                                  weft::const_buffer("more", 4)};
    co_await stream.write_all(parts);
    std::array<char, 8> answer{};
    std::size_t count = 0;
    for (;;) {
        std::size_t const more = co_await stream.read_some(
            weft::mutable_buffer(answer.data() + count, answer.size() - count));
        if (more == 0) {
            break;
        }
        count += more;
    }
    co_await stream.close();
}

task<> talk(outcome& got) {
    weft::tcp_listener listener(weft::address::loopback_v4(0));
    co_await weft::when_all(serve(listener), ask(listener.local_address()));
    co_await listener.close();
    weft::signal_set signals{SIGUSR2};
    ::kill(::getpid(), SIGUSR2);
    int const number = co_await signals.next();
    CHECK(number == SIGUSR2);
    got.is_complete = true;
}

outcome run(weft::driver_kind driver) {
    outcome got;
    try {
        weft::runtime_options options;
        options.workers = 1;
        options.driver = driver;
        weft::runtime runtime(options);
        runtime.block_on(talk(got));
        CHECK(runtime.operations_in_flight() == 0);
    } catch (std::system_error const& error) {
        got.told = error.what();
    }
    return got;
}

void fail_each(weft::driver_kind driver) {
    ::sigset_t own;
    ::sigemptyset(&own);
    ::sigaddset(&own, SIGUSR2);
    REQUIRE(::pthread_sigmask(SIG_BLOCK, &own, nullptr) == 0);
    faults::arm(0, 0);
    outcome const sound = run(driver);
    if (!sound.is_complete) {
        MESSAGE("no such driver here: " << sound.told);
        return;
    }
    std::size_t const descriptors = fd_count();
    std::set<std::string> failed;
    for (unsigned pick = 0; pick < picks; ++pick) {
        for (unsigned n = 1;; ++n) {
            faults::arm(n, pick);
            outcome const got = run(driver);
            std::string const name = faults::failed() != nullptr ? faults::failed() : "none";
            CAPTURE(pick);
            CAPTURE(n);
            CAPTURE(name);
            CAPTURE(got.told);
            CHECK((got.is_complete || !got.told.empty()));
            CHECK((name != "none" || got.is_complete));
            CHECK(fd_count() == descriptors);
            failed.insert(name);
            if (n > faults::calls()) {
                break;
            }
        }
    }
    CHECK(failed.size() > 12);
    faults::arm(0, 0);
}

}  // namespace

TEST_SUITE("io/sys/each_call_fails") {
    TEST_CASE("on epoll, a call that fails ends the program with its error, or not at all") {
        fail_each(weft::driver_kind::epoll);
    }

    TEST_CASE("on io_uring, a call that fails ends the program with its error, or not at all") {
        fail_each(weft::driver_kind::uring);
    }
}
