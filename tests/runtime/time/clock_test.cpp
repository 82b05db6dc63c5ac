#include <weft/runtime/time/clock.hpp>

#include <weft/runtime/pool/blocking.hpp>
#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/scope/this_task.hpp>
#include <weft/runtime/testing/test_runtime.hpp>
#include <weft/runtime/time/sleep.hpp>
#include <weft/runtime/time/timeout.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <utility>

namespace {

using namespace std::chrono_literals;
using weft::clock;
using weft::task;
using weft::test::runtime;

static_assert(std::chrono::is_clock_v<clock>);
static_assert(!std::is_convertible_v<std::chrono::steady_clock::time_point, clock::time_point>);

/// Sleeps end at a tick of the worker's wheel.
bool is_about(clock::duration measured, clock::duration wanted) {
    return measured >= wanted && measured < wanted + 2us;
}

}  // namespace

TEST_SUITE("runtime/clock") {
    TEST_CASE("a task whose runtime has a virtual clock reads virtual time") {
        runtime rt;
        auto const start = rt.now();
        auto work = [&]() -> task<> {
            CHECK(clock::now() == rt.now());
            co_await weft::sleep_until(clock::now() + 1s);
            CHECK(is_about(clock::now() - start, 1s));
            co_await weft::sleep_until(clock::now() + 0.5s);
            CHECK(clock::now() - start < 1.5s + 3us);
            co_await weft::sleep_until(clock::now() - 1h);
        };
        rt.block_on(work());
        CHECK(is_about(std::chrono::round<std::chrono::microseconds>(rt.now() - start), 1500ms));
    }

    TEST_CASE("a deadline that is counted from the clock is met in virtual time") {
        runtime rt;
        auto work = []() -> task<clock::duration> {
            auto remaining = []() -> task<clock::duration> {
                co_await weft::sleep_for(1min);
                weft::deadline const limit = co_await weft::this_task::deadline();
                CHECK(limit.remaining() == limit.time() - clock::now());
                co_return limit.remaining();
            };
            co_return co_await weft::with_deadline(clock::now() + 1h, remaining());
        };
        auto const left = rt.block_on(work());
        CHECK(std::chrono::round<std::chrono::milliseconds>(left) == 59min);
    }

    TEST_CASE("what blocking calls reads the time of the task that waits") {
        runtime rt;
        auto work = [&]() -> task<> {
            auto const read = co_await weft::blocking(&clock::now);
            CHECK(read == rt.now());
        };
        rt.block_on(work());
    }

    TEST_CASE("a thread of no runtime reads monotonic time") {
        auto const before = std::chrono::steady_clock::now();
        auto const read = clock::to_steady(clock::now());
        CHECK(before <= read);
        CHECK(read <= std::chrono::steady_clock::now());
    }

    TEST_CASE("on a real runtime the steady clock's times are the same") {
        weft::thread_pool pool({.workers = 1});
        auto work = []() -> task<> {
            auto const before = std::chrono::steady_clock::now();
            CHECK(clock::to_steady(clock::from_steady(before)) == before);
            CHECK(clock::from_steady(before) <= clock::now());
            auto const first = clock::now();
            auto const second = clock::from_steady(std::chrono::steady_clock::now());
            CHECK(first <= second);
            co_await weft::sleep_until(clock::from_steady(before + 1ms));
            CHECK(std::chrono::steady_clock::now() - before >= 1ms);
        };
        pool.block_on(work());
    }

    TEST_CASE("under virtual time a steady clock's time is as far off as by its own clock") {
        runtime rt;
        auto work = [&]() -> task<> {
            using steady = std::chrono::steady_clock;
            auto const now = steady::now();
            auto const later = clock::from_steady(now + 100h) - clock::now();
            auto const passed = steady::now() - now;
            CHECK(later <= 100h);
            CHECK(later >= 100h - passed);
            CHECK(clock::from_steady(now) <= clock::now());
            CHECK(clock::to_steady(clock::now() + 100h) >= now + 100h);
            CHECK(clock::from_steady(steady::time_point::max()) > clock::now() + 24h * 365 * 100);
            CHECK(clock::to_steady(clock::time_point::max()) > now + 24h * 365 * 100);
            CHECK(clock::from_steady(steady::time_point::min()) < clock::now());
            co_return;
        };
        rt.block_on(work());
    }

    TEST_CASE("a length that is added to a time never overflows") {
        constexpr clock::time_point origin{};
        CHECK(clock::after(origin + 1h, 1s) == origin + 1h + 1s);
        CHECK(clock::after(origin - 1h, 1s) == origin - 1h + 1s);
        CHECK(clock::after(origin + 1h, std::chrono::hours::max()) == clock::time_point::max());
        CHECK(clock::after(clock::time_point::max(), 1ns) == clock::time_point::max());
        CHECK(clock::after(clock::time_point::min(), std::chrono::hours::max()) == origin - 1ns);
    }
}
