#include <weft/runtime/base/mutex.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <ctime>
#include <thread>
#include <vector>

namespace {

using weft::detail::condition;
using weft::detail::mutex;
using weft::detail::scoped_lock;

std::uint64_t monotonic_ns() {
    ::timespec now{};
    REQUIRE(::clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 +
           static_cast<std::uint64_t>(now.tv_nsec);
}

constexpr std::uint64_t one_minute_ns = 60'000'000'000;

void join(std::vector<std::thread>& threads) {
    for (std::thread& each : threads) {
        each.join();
    }
}

}  // namespace

TEST_SUITE("runtime/base/mutex") {
    TEST_CASE("no increment under the lock is lost") {
        mutex guard;
        int count = 0;
        std::vector<std::thread> threads;
        for (int i = 0; i < 4; ++i) {
            threads.emplace_back([&] {
                for (int round = 0; round < 20'000; ++round) {
                    scoped_lock const lock(guard);
                    ++count;
                }
            });
        }
        join(threads);
        CHECK(count == 80'000);
    }

    TEST_CASE("a notification reaches every waiter") {
        mutex guard;
        condition changed;
        bool open = false;
        int waiting = 0;
        int passed = 0;
        std::vector<std::thread> threads;
        for (int i = 0; i < 3; ++i) {
            threads.emplace_back([&] {
                scoped_lock const lock(guard);
                ++waiting;
                changed.notify_all();
                while (!open) {
                    changed.wait(guard);
                }
                ++passed;
            });
        }
        {
            scoped_lock const lock(guard);
            while (waiting < 3) {
                changed.wait(guard);
            }
            CHECK(passed == 0);
            open = true;
            changed.notify_all();
        }
        join(threads);
        CHECK(passed == 3);
    }

    TEST_CASE("a wait whose deadline has passed reports it and holds the lock again") {
        mutex guard;
        condition never_notified;
        int count = 0;
        std::thread other;
        {
            scoped_lock const lock(guard);
            CHECK(!never_notified.wait_until(guard, 0));
            CHECK(!never_notified.wait_until(guard, monotonic_ns()));
            other = std::thread([&] {
                scoped_lock const inner(guard);
                ++count;
            });
            CHECK(count == 0);
        }
        other.join();
        CHECK(count == 1);
    }

    TEST_CASE("a deadline is kept on the monotonic clock, not earlier") {
        mutex guard;
        condition never_notified;
        scoped_lock const lock(guard);
        std::uint64_t const deadline = monotonic_ns() + 2'000'000;
        while (never_notified.wait_until(guard, deadline)) {
        }
        CHECK(monotonic_ns() >= deadline);
    }

    TEST_CASE("a notification ends a wait before its deadline") {
        mutex guard;
        condition changed;
        bool open = false;
        std::thread opener;
        {
            scoped_lock const lock(guard);
            std::uint64_t const deadline = monotonic_ns() + one_minute_ns;
            opener = std::thread([&] {
                scoped_lock const inner(guard);
                open = true;
                changed.notify_all();
            });
            bool in_time = true;
            while (!open && in_time) {
                in_time = changed.wait_until(guard, deadline);
            }
            CHECK(open);
            CHECK(in_time);
        }
        opener.join();
    }
}
