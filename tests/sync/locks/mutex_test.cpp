#include <weft/sync/locks/mutex.hpp>

#include <weft/runtime/pool/runtime_base.hpp>
#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/scope/scope.hpp>
#include <weft/runtime/time/sleep.hpp>
#include <weft/tests/support/death.hpp>
#include <weft/tests/support/seed.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

namespace {

using weft::task;

/// Locks, notes its turn, unlocks.
task<> take_turn(weft::mutex& mutex, std::vector<int>& order, int name) {
    auto guard = co_await mutex.scoped_lock();
    order.push_back(name);
}

/// Increments what only the mutex protects.
task<> count_up(weft::mutex& mutex, std::uint64_t& sum, int rounds, bool suspend_inside) {
    for (int i = 0; i < rounds; ++i) {
        auto guard = co_await mutex.scoped_lock();
        std::uint64_t const before = sum;
        if (suspend_inside && i % 16 == 0) {
            co_await weft::yield();
        }
        sum = before + 1;
    }
}

}  // namespace

TEST_SUITE("sync/mutex") {
    TEST_CASE("a free mutex is locked without waiting, once") {
        weft::mutex mutex;
        CHECK(mutex.try_lock());
        CHECK_FALSE(mutex.try_lock());
        mutex.unlock();
        {
            auto const guard = mutex.try_scoped_lock();
            CHECK(static_cast<bool>(guard));
            CHECK_FALSE(static_cast<bool>(mutex.try_scoped_lock()));
        }
        CHECK(mutex.try_lock());
        mutex.unlock();
    }

    TEST_CASE("a task without a runtime locks a free mutex") {
        weft::mutex mutex;
        auto work = [](weft::mutex& m) -> task<bool> {
            co_await m.lock();
            bool const free = m.try_lock();
            m.unlock();
            co_return free;
        };
        CHECK_FALSE(weft::sync_wait(work(mutex)));
        CHECK(mutex.try_lock());
        mutex.unlock();
    }

    TEST_CASE("a guard that is moved from, or unlocked early, unlocks no second time") {
        weft::mutex first;
        weft::mutex second;
        auto outer = first.try_scoped_lock();
        {
            weft::mutex_guard inner = std::move(outer);
            CHECK_FALSE(static_cast<bool>(outer));
            CHECK_FALSE(first.try_lock());
            inner = second.try_scoped_lock();
            CHECK(first.try_lock());
            CHECK_FALSE(second.try_lock());
            inner.unlock();
            CHECK_FALSE(static_cast<bool>(inner));
            CHECK(second.try_lock());
        }
        CHECK_FALSE(first.try_lock());
        CHECK_FALSE(second.try_lock());
        first.unlock();
        second.unlock();
    }

    TEST_CASE("tasks get the mutex in the order in which they began to wait") {
        weft::thread_pool pool({.workers = 1});
        weft::mutex mutex;
        std::vector<int> order;
        auto work = [&]() -> task<> {
            auto guard = co_await mutex.scoped_lock();
            auto body = [&](weft::nursery& n) -> task<> {
                for (int i = 0; i < 100; ++i) {
                    n.spawn(take_turn(mutex, order, i));
                }
                co_await weft::yield();
                guard.unlock();
            };
            co_await weft::scope(body);
        };
        pool.block_on(work());
        std::vector<int> expected;
        for (int i = 0; i < 100; ++i) {
            expected.push_back(i);
        }
        CHECK(order == expected);
    }

    TEST_CASE("an unlock hands the mutex to who waits: nobody gets in between") {
        weft::thread_pool pool({.workers = 1});
        weft::mutex mutex;
        std::vector<int> order;
        auto work = [&]() -> task<bool> {
            bool barged = false;
            co_await mutex.lock();
            auto body = [&](weft::nursery& n) -> task<> {
                n.spawn(take_turn(mutex, order, 1));
                co_await weft::yield();
                mutex.unlock();
                barged = mutex.try_lock();
                CHECK(order.empty());  // nor did the waiter run inside unlock()
            };
            co_await weft::scope(body);
            co_return barged;
        };
        CHECK_FALSE(pool.block_on(work()));
        CHECK(order == std::vector<int>{1});
        CHECK(mutex.try_lock());
        mutex.unlock();
    }

    TEST_CASE("what the mutex protects is touched by one task at a time, on any worker") {
        constexpr int tasks = 16;
        constexpr int rounds = 2'000;
        for (unsigned workers : {1U, 2U, 4U}) {
            weft::thread_pool pool({.workers = workers});
            weft::mutex mutex;
            std::uint64_t sum = 0;
            auto work = [&]() -> task<> {
                auto body = [&](weft::nursery& n) -> task<> {
                    for (int i = 0; i < tasks; ++i) {
                        n.spawn(count_up(mutex, sum, rounds, i % 2 == 0));
                    }
                    co_return;
                };
                co_await weft::scope(body);
            };
            pool.block_on(work());
            CHECK(sum == std::uint64_t{tasks} * rounds);
            CHECK(mutex.try_lock());
            mutex.unlock();
        }
    }

    TEST_CASE("threads without a runtime unlock what tasks wait for") {
        weft::thread_pool pool({.workers = 2});
        weft::mutex mutex;
        std::uint64_t sum = 0;
        constexpr int rounds = 5'000;
        std::thread foreign([&] {
            for (int i = 0; i < rounds;) {
                if (mutex.try_lock()) {
                    ++sum;
                    ++i;
                    mutex.unlock();
                } else {
                    std::this_thread::yield();
                }
            }
        });
        auto work = [&]() -> task<> { co_await count_up(mutex, sum, rounds, true); };
        pool.block_on(work());
        foreign.join();
        CHECK(sum == 2 * rounds);
    }

    TEST_CASE("the task that is let in last may destroy the mutex at once") {
        weft::thread_pool pool({.workers = 2});
        for (int round = 0; round < 5'000; ++round) {
            auto mutex = std::make_unique<weft::mutex>();
            weft::mutex& shared = *mutex;
            auto first = [](weft::mutex& m) -> task<> {
                co_await m.lock();
                co_await weft::yield();
                m.unlock();
            };
            auto last = [](std::unique_ptr<weft::mutex> m) -> task<> {
                co_await m->lock();
                m->unlock();
                m.reset();
            };
            auto work = [&]() -> task<> {
                auto body = [&](weft::nursery& n) -> task<> {
                    auto holder = [&](weft::mutex& m) -> task<> {
                        co_await m.lock();
                        n.spawn(last(std::move(mutex)));
                        co_await weft::yield();
                        m.unlock();
                    };
                    co_await first(shared);
                    co_await holder(shared);
                };
                co_await weft::scope(body);
            };
            pool.block_on(work());
        }
    }

    TEST_CASE("random lockers never meet, and none is left behind") {
        auto const seed = weft::test::fresh_seed();
        CAPTURE(seed);
        weft::thread_pool pool({.workers = 2});
        weft::mutex mutex;
        std::atomic<int> inside = 0;
        std::atomic<int> met = 0;
        std::atomic<int> turns = 0;
        auto locker = [&](std::uint64_t own_seed) -> task<> {
            weft::test::random_numbers random(own_seed);
            for (int i = 0; i < 500; ++i) {
                if (random.one_in(4)) {
                    if (!mutex.try_lock()) {
                        continue;
                    }
                } else {
                    co_await mutex.lock();
                }
                met += inside.fetch_add(1);
                if (random.one_in(8)) {
                    co_await weft::yield();
                }
                inside.fetch_sub(1);
                ++turns;
                mutex.unlock();
                if (random.one_in(8)) {
                    co_await weft::yield();
                }
            }
        };
        auto work = [&]() -> task<> {
            auto body = [&](weft::nursery& n) -> task<> {
                for (std::uint64_t i = 0; i < 8; ++i) {
                    n.spawn(locker(seed + i));
                }
                co_return;
            };
            co_await weft::scope(body);
        };
        pool.block_on(work());
        CHECK(met == 0);
        CHECK(turns > 0);
        CHECK(mutex.try_lock());
        mutex.unlock();
    }

    TEST_CASE("an unlocked mutex that is unlocked aborts and says so") {
        auto const seen = weft::test::death_of([] {
            weft::mutex mutex;
            mutex.unlock();
        });
        CHECK(weft::test::aborted_saying(seen, "an unlocked mutex is unlocked"));
    }

    TEST_CASE("a mutex that is destroyed while a task waits aborts and says so") {
        auto const seen = weft::test::death_of([] {
            weft::thread_pool pool({.workers = 1});
            std::optional<weft::mutex> mutex;
            mutex.emplace();
            auto waits = [](weft::mutex& m) -> task<> { co_await m.lock(); };
            auto work = [&]() -> task<> {
                co_await mutex->lock();
                weft::spawn(waits(*mutex));
                co_await weft::yield();
                mutex.reset();
            };
            pool.block_on(work());
        });
        CHECK(weft::test::aborted_saying(seen, "a mutex is destroyed while tasks wait for it"));
    }

    TEST_CASE("a task without a runtime that would have to wait aborts and says so") {
        auto const seen = weft::test::death_of([] {
            weft::mutex mutex;
            auto work = [](weft::mutex& m) -> task<> {
                co_await m.lock();
                co_await m.lock();
            };
            weft::sync_wait(work(mutex));
        });
        CHECK(weft::test::aborted_saying(seen, "mutex::lock needs a runtime"));
    }
}
