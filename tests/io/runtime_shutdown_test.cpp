#include <weft/io/net/tcp.hpp>
#include <weft/io/runtime.hpp>
#include <weft/runtime/values/stderr_line.hpp>
#include <weft/tests/support/death.hpp>
#include <weft/tests/support/io_fixture.hpp>
#include <weft/tests/support/redirected_stderr.hpp>

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <stdexcept>
#include <string>

#include <unistd.h>

namespace {

using namespace std::chrono_literals;
using namespace weft::test;
using weft::address;
using weft::runtime;
using weft::task;
using weft::tcp_listener;
using weft::tcp_stream;

task<> serve(tcp_listener& listener) {
    for (;;) {
        (void)co_await listener.accept();
    }
}

task<> read_for_ever(tcp_stream& stream) {
    std::array<char, 16> into{};
    (void)co_await stream.read_some(into);
}

/// One round trip over the network.
task<> use_the_network() {
    stream_pair pair = co_await connected_pair();
    co_await pair.near.write_all("hello");
    std::array<char, 5> into{};
    std::size_t const got = co_await pair.far.read_exact(into);
    CHECK(got == 5);
}

task<> fails() {
    co_await weft::yield();
    throw std::runtime_error("nobody joins this");
}

void wait_for_an_operation(runtime& rt) {
    auto wait = [&]() -> task<> {
        while (rt.operations_in_flight() == 0) {
            co_await weft::yield();
        }
    };
    rt.block_on(wait());
}

}  // namespace

TEST_SUITE("io/runtime_shutdown") {
    TEST_CASE("what is declared after the runtime may be destroyed after shutdown, or join") {
        for (bool const joins : {false, true}) {
            auto const seen = death_of([&] {
                runtime rt(with_workers(1));
                tcp_listener listener(address::loopback_v4(0));
                rt.spawn(serve(listener));
                wait_for_an_operation(rt);
                if (joins) {
                    rt.request_stop();
                    rt.join();
                } else {
                    rt.shutdown(1s);
                }
            });
            INFO(seen.text);
            CHECK(seen.signal == 0);
            CHECK(seen.text.empty());
        }
    }

    TEST_CASE("a socket that dies under a task aborts, and the message tells the cure") {
        auto const listener = death_of([] {
            runtime rt(with_workers(1));
            tcp_listener accepting(address::loopback_v4(0));
            rt.spawn(serve(accepting));
            wait_for_an_operation(rt);
        });
        CHECK(aborted_saying(listener, "a tcp_listener is destroyed while a task waits in it"));
        CHECK(aborted_saying(listener, "shutdown()"));
        CHECK(aborted_saying(listener, "declare the runtime after it"));
        auto const stream = death_of([] {
            runtime rt(with_workers(1));
            stream_pair pair = rt.block_on(connected_pair());
            rt.spawn(read_for_ever(pair.far));  // which dies first
            wait_for_an_operation(rt);
        });
        CHECK(aborted_saying(stream, "a tcp_stream is destroyed while a task waits in it"));
        CHECK(aborted_saying(stream, "declare the runtime after it"));
    }

    TEST_CASE("a task may ask for the driver's report until the runtime has ended") {
        std::string report;
        std::string seen;
        {
            runtime rt(with_workers(1));
            report = rt.driver_report();
            std::atomic<bool> has_begun = false;
            auto work = [&]() -> task<> {
                struct reporter {
                    ~reporter() { *into = rt->driver_report(); }

                    runtime* rt;
                    std::string* into;
                };

                reporter const last{&rt, &seen};
                has_begun = true;
                has_begun.notify_one();
                co_await weft::sleep_for(24h);
            };
            rt.spawn(work());
            has_begun.wait(false);
        }
        CHECK(seen == report);
    }

    TEST_CASE("a runtime that is destroyed on one of its own workers aborts with the reason") {
        auto const seen = death_of([] {
            auto* const rt = new runtime(with_workers(1));
            auto work = [&]() -> task<> {
                delete rt;
                co_return;
            };
            rt->spawn(work());
            ::pause();
        });
        CHECK(aborted_saying(seen, "a runtime is destroyed in a task of it"));
    }
}

TEST_SUITE("io/runtime/unhandled_errors") {
    TEST_CASE("a reader of stderr who stalls stops no worker, and what he misses is counted") {
        plain_pipe full;
        full.fill();
        auto const before = weft::stderr_lines_dropped();
        {
            redirected_stderr const to(full.target());
            runtime rt(with_workers(1));
            for (int i = 0; i < 100; ++i) {
                rt.spawn(fails());
            }
            rt.block_on(use_the_network());
            rt.join();
        }
        CHECK(weft::stderr_lines_dropped() == before + 100);
    }

    TEST_CASE("the runtime's own hook hears of them instead") {
        plain_pipe seen;
        std::atomic<int> heard = 0;
        {
            redirected_stderr const to(seen.target());
            weft::runtime_options options = with_workers(2);
            options.on_unhandled_error = [&heard](std::exception_ptr const&) { ++heard; };
            runtime rt(options);
            for (int i = 0; i < 100; ++i) {
                rt.spawn(fails());
            }
            rt.join();
        }
        CHECK(heard == 100);
        CHECK(seen.take_all().empty());
    }
}
