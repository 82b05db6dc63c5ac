#include <weft/sync/locks/shared_mutex.hpp>

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
#include <vector>

namespace {

using weft::task;

task<> write_turn(weft::shared_mutex& mutex, std::vector<int>& order, int name) {
    auto const guard = co_await mutex.scoped_lock();
    order.push_back(name);
    co_await weft::yield();
}

task<> read_turn(weft::shared_mutex& mutex, std::vector<int>& order, int name) {
    auto const guard = co_await mutex.scoped_lock_shared();
    order.push_back(name);
    co_await weft::yield();
}

}  // namespace

TEST_SUITE("sync/shared_mutex") {
    TEST_CASE("readers share, a writer does not") {
        weft::shared_mutex mutex;
        CHECK(mutex.try_lock_shared());
        CHECK(mutex.try_lock_shared());
        CHECK_FALSE(mutex.try_lock());
        mutex.unlock_shared();
        CHECK_FALSE(mutex.try_lock());
        mutex.unlock_shared();
        CHECK(mutex.try_lock());
        CHECK_FALSE(mutex.try_lock());
        CHECK_FALSE(mutex.try_lock_shared());
        mutex.unlock();
        {
            auto const first = mutex.try_scoped_lock_shared();
            auto const second = mutex.try_scoped_lock_shared();
            CHECK(static_cast<bool>(second));
            CHECK_FALSE(static_cast<bool>(mutex.try_scoped_lock()));
        }
        auto const guard = mutex.try_scoped_lock();
        CHECK(static_cast<bool>(guard));
        CHECK_FALSE(static_cast<bool>(mutex.try_scoped_lock_shared()));
    }

    TEST_CASE("a task without a runtime locks a free mutex") {
        weft::shared_mutex mutex;
        auto work = [](weft::shared_mutex& m) -> task<bool> {
            {
                auto const guard = co_await m.scoped_lock_shared();
                co_await m.lock_shared();
                m.unlock_shared();
            }
            co_await m.lock();
            m.unlock();
            co_return m.try_lock();
        };
        CHECK(weft::sync_wait(work(mutex)));
        mutex.unlock();
    }

    TEST_CASE("neither readers nor writers overtake who waits") {
        weft::thread_pool pool({.workers = 1});
        weft::shared_mutex mutex;
        std::vector<int> order;
        auto work = [&]() -> task<> {
            auto body = [&](weft::nursery& n) -> task<> {
                co_await mutex.lock_shared();
                n.spawn(write_turn(mutex, order, 1));
                n.spawn(read_turn(mutex, order, 2));
                n.spawn(read_turn(mutex, order, 3));
                n.spawn(write_turn(mutex, order, 4));
                n.spawn(read_turn(mutex, order, 5));
                co_await weft::yield();
                CHECK(order.empty());
                CHECK_FALSE(mutex.try_lock_shared());  // a writer waits
                mutex.unlock_shared();
                CHECK(order.empty());
                CHECK_FALSE(mutex.try_lock_shared());
            };
            co_await weft::scope(body);
        };
        pool.block_on(work());
        CHECK(order == std::vector<int>{1, 2, 3, 4, 5});
        CHECK(mutex.try_lock());
        mutex.unlock();
    }

    TEST_CASE("a writer that is stopped lets the readers behind it in") {
        weft::thread_pool pool({.workers = 1});
        weft::shared_mutex mutex;
        std::vector<int> order;
        weft::nursery* writer = nullptr;
        auto stopped = [&](weft::nursery& inner) -> task<> {
            writer = &inner;
            co_await write_turn(mutex, order, 1);
        };
        auto waits = [&]() -> task<> { co_await weft::scope(stopped); };
        auto work = [&]() -> task<> {
            auto body = [&](weft::nursery& n) -> task<> {
                co_await mutex.lock_shared();
                n.spawn(waits());
                n.spawn(read_turn(mutex, order, 2));
                n.spawn(read_turn(mutex, order, 3));
                co_await weft::yield();
                co_await weft::yield();
                CHECK(order.empty());
                writer->request_stop();
                co_await weft::yield();
                CHECK(order == std::vector<int>{2, 3});
                CHECK(mutex.try_lock_shared());
                mutex.unlock_shared();
                mutex.unlock_shared();
            };
            co_await weft::scope(body);
        };
        pool.block_on(work());
        CHECK(mutex.try_lock());
        mutex.unlock();
    }

    TEST_CASE("a stopped reader leaves the writer behind it waiting for the readers inside") {
        weft::thread_pool pool({.workers = 1});
        weft::shared_mutex mutex;
        std::vector<int> order;
        weft::nursery* reader = nullptr;
        auto stopped = [&](weft::nursery& inner) -> task<> {
            reader = &inner;
            co_await read_turn(mutex, order, 1);
        };
        auto waits = [&]() -> task<> { co_await weft::scope(stopped); };
        auto work = [&]() -> task<> {
            auto body = [&](weft::nursery& n) -> task<> {
                co_await mutex.lock();
                n.spawn(waits());
                n.spawn(write_turn(mutex, order, 2));
                co_await weft::yield();
                co_await weft::yield();
                reader->request_stop();
                co_await weft::yield();
                CHECK(order.empty());
                mutex.unlock();
            };
            co_await weft::scope(body);
        };
        pool.block_on(work());
        CHECK(order == std::vector<int>{2});
    }

    TEST_CASE("a writer is alone, readers see whole writes, and all come to their end") {
        auto const seed = weft::test::fresh_seed();
        CAPTURE(seed);
        for (unsigned workers : {1U, 2U, 4U}) {
            weft::thread_pool pool({.workers = workers});
            weft::shared_mutex mutex;
            std::uint64_t left = 0;
            std::uint64_t right = 0;
            std::atomic<int> torn = 0;
            std::uint64_t writes = 0;
            auto user = [&](std::uint64_t own_seed) -> task<> {
                weft::test::random_numbers random(own_seed);
                for (int i = 0; i < 1'000; ++i) {
                    if (random.one_in(3)) {
                        auto const guard = co_await mutex.scoped_lock();
                        ++left;
                        if (random.one_in(8)) {
                            co_await weft::yield();
                        }
                        ++right;
                        ++writes;
                    } else {
                        auto const guard = co_await mutex.scoped_lock_shared();
                        auto const before = left;
                        if (random.one_in(8)) {
                            co_await weft::yield();
                        }
                        torn += before == right ? 0 : 1;
                    }
                }
            };
            auto work = [&]() -> task<> {
                auto body = [&](weft::nursery& n) -> task<> {
                    for (std::uint64_t i = 0; i < 8; ++i) {
                        n.spawn(user(seed + i));
                    }
                    co_return;
                };
                co_await weft::scope(body);
            };
            pool.block_on(work());
            CHECK(torn == 0);
            CHECK(left == writes);
            CHECK(right == writes);
            CHECK(mutex.try_lock());
            mutex.unlock();
        }
    }

    TEST_CASE("the task that is let in last may destroy the mutex at once") {
        weft::thread_pool pool({.workers = 2});
        auto reader = [](weft::shared_mutex& m) -> task<> {
            co_await m.lock_shared();
            m.unlock_shared();
        };
        auto work = [&]() -> task<> {
            for (int round = 0; round < 3'000; ++round) {
                auto mutex = std::make_unique<weft::shared_mutex>();
                co_await mutex->lock_shared();
                weft::shared_mutex& shared = *mutex;
                auto last = [&]() -> task<> {
                    co_await mutex->lock();
                    mutex->unlock();
                    mutex.reset();
                };
                auto body = [&](weft::nursery& n) -> task<> {
                    n.spawn(last());
                    co_await weft::yield();
                    shared.unlock_shared();
                };
                co_await reader(shared);
                co_await weft::scope(body);
            }
        };
        pool.block_on(work());
    }

    TEST_CASE("unlocking what nobody holds aborts and says so") {
        auto const as_writer = weft::test::death_of([] {
            weft::shared_mutex mutex;
            (void)mutex.try_lock_shared();
            mutex.unlock();
        });
        CHECK(weft::test::aborted_saying(as_writer, "unlocked that no writer holds"));
        auto const as_reader = weft::test::death_of([] {
            weft::shared_mutex mutex;
            (void)mutex.try_lock();
            mutex.unlock_shared();
        });
        CHECK(weft::test::aborted_saying(as_reader, "unlocked that no reader holds"));
    }

    TEST_CASE("a shared_mutex that is destroyed while a task waits aborts and says so") {
        auto const seen = weft::test::death_of([] {
            weft::thread_pool pool({.workers = 1});
            std::optional<weft::shared_mutex> mutex;
            mutex.emplace();
            auto waits = [](weft::shared_mutex& m) -> task<> { co_await m.lock_shared(); };
            auto work = [&]() -> task<> {
                co_await mutex->lock();
                weft::spawn(waits(*mutex));
                co_await weft::yield();
                mutex.reset();
            };
            pool.block_on(work());
        });
        CHECK(weft::test::aborted_saying(seen, "a shared_mutex is destroyed while tasks wait"));
    }

    TEST_CASE("a task without a runtime that would have to wait aborts and says so") {
        auto const seen = weft::test::death_of([] {
            weft::shared_mutex mutex;
            auto work = [](weft::shared_mutex& m) -> task<> {
                co_await m.lock();
                co_await m.lock_shared();
            };
            weft::sync_wait(work(mutex));
        });
        CHECK(weft::test::aborted_saying(seen, "a lock of shared_mutex needs a runtime"));
    }
}
