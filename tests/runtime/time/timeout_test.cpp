#include <weft/runtime/time/timeout.hpp>

#include <weft/runtime/join/when_all.hpp>
#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/scope/scope.hpp>
#include <weft/runtime/scope/this_task.hpp>
#include <weft/runtime/task/as_result.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <system_error>
#include <thread>

namespace {

using namespace std::chrono_literals;
using weft::task;

task<int> value(int v) {
    co_return v;
}

task<int> value_after(int v, std::chrono::microseconds delay) {
    co_await weft::sleep_for(delay);
    co_return v;
}

/// Does not look at the stop.
task<int> stubborn(int v, std::chrono::milliseconds busy) {
    auto const end = weft::clock::now() + busy;
    while (weft::clock::now() < end) {
    }
    co_return v;
}

bool is_timeout(std::system_error const& error) {
    return error.code() == std::errc::timed_out;
}

}  // namespace

TEST_SUITE("runtime/timeout") {
    TEST_CASE("a task that ends in time delivers its value") {
        weft::thread_pool pool({.workers = 1});
        auto work = []() -> task<int> {
            int const a = co_await weft::timeout(24h, value(1));
            int const b = co_await weft::timeout(24h, value_after(2, 100us));
            co_return a + b;
        };
        CHECK(pool.block_on(work()) == 3);
    }

    TEST_CASE("a task that is too slow is stopped and the await fails with timed_out") {
        weft::thread_pool pool({.workers = 2});
        auto work = []() -> task<bool> {
            bool timed_out = false;
            try {
                (void)co_await weft::timeout(1ms, value_after(1, 24h));
            } catch (std::system_error const& error) {
                timed_out = is_timeout(error);
            }
            co_return timed_out;
        };
        CHECK(pool.block_on(work()));
    }

    TEST_CASE("a task that ignores the stop is waited for and its value is delivered") {
        weft::thread_pool pool({.workers = 1});
        auto work = []() -> task<int> {
            int const v = co_await weft::timeout(1ms, stubborn(9, 5ms));
            co_return v;
        };
        CHECK(pool.block_on(work()) == 9);
    }

    TEST_CASE("a limit that has passed stops the task before it starts, and takes no value away") {
        weft::thread_pool pool({.workers = 1});
        bool was_stopped = false;
        auto looks = [&]() -> task<int> {
            was_stopped = co_await weft::this_task::stop_requested();
            co_return 7;
        };
        auto within = [&]() -> task<int> {
            int const v = co_await weft::timeout(0s, looks());
            co_return v;
        };
        auto until = [&]() -> task<int> {
            int const v = co_await weft::with_deadline(weft::clock::now() - 1h, looks());
            co_return v;
        };
        CHECK(pool.block_on(within()) == 7);
        CHECK(was_stopped);
        was_stopped = false;
        CHECK(pool.block_on(until()) == 7);
        CHECK(was_stopped);
        auto waits = []() -> task<int> {
            int const v = co_await weft::timeout(0s, value_after(1, 24h));
            co_return v;
        };
        CHECK_THROWS_AS((void)pool.block_on(waits()), std::system_error);
    }

    TEST_CASE("an error of the task passes through") {
        weft::thread_pool pool({.workers = 1});
        auto fails = []() -> task<int> {
            throw std::runtime_error("broken");
            co_return 0;
        };
        auto work = [&]() -> task<int> {
            int const v = co_await weft::timeout(24h, fails());
            co_return v;
        };
        CHECK_THROWS_WITH((void)pool.block_on(work()), "broken");
    }

    TEST_CASE("the nearest of nested limits decides") {
        weft::thread_pool pool({.workers = 2});
        auto inner = []() -> task<int> {
            int const v = co_await weft::timeout(24h, value_after(1, 24h));
            co_return v;
        };
        auto work = [&]() -> task<bool> {
            auto const ended = co_await weft::as_result(weft::timeout(1ms, inner()));
            co_return ended.error() == std::errc::timed_out;
        };
        CHECK(pool.block_on(work()));
    }

    TEST_CASE("a stop of the surrounding task is not mistaken for a timeout") {
        std::atomic<int> went_on = 0;
        std::atomic<int> started = 0;
        {
            weft::thread_pool pool({.workers = 2});
            auto work = [](std::atomic<int>& begun, std::atomic<int>& out) -> task<> {
                ++begun;
                try {
                    (void)co_await weft::timeout(24h, value_after(1, 24h));
                } catch (...) {
                    ++out;
                }
                ++out;
            };
            for (int i = 0; i < 100; ++i) {
                pool.spawn(work(started, went_on));
            }
            while (started < 100) {
                std::this_thread::yield();
            }
        }
        CHECK(went_on == 0);
        CHECK(weft::detail::frame_pool::live_frames() == 0);
    }

    TEST_CASE("limits that race the end of their task leave no timer behind") {
        weft::thread_pool pool({.workers = 2});
        auto one = [](int i) -> task<int> {
            auto const ended = co_await weft::as_result(weft::timeout(
                std::chrono::microseconds(i % 60), value_after(1, std::chrono::microseconds(30))));
            co_return ended.has_value() || ended.error() == std::errc::timed_out ? 1 : 0;
        };
        auto work = [&]() -> task<int> {
            int sum = 0;
            for (int i = 0; i < 2'000; ++i) {
                auto [a, b] = co_await weft::when_all(one(i), one(i + 7));
                sum += a + b;
            }
            co_return sum;
        };
        CHECK(pool.block_on(work()) == 4'000);
    }
}
