#include <weft/sync/locks/semaphore.hpp>

#include <weft/runtime/pool/runtime_base.hpp>
#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/scope/scope.hpp>
#include <weft/runtime/time/sleep.hpp>
#include <weft/tests/support/death.hpp>
#include <weft/tests/support/seed.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <cstddef>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace {

using weft::task;

task<> note_turn(weft::semaphore& semaphore, std::size_t count, std::vector<int>& order, int name) {
    co_await semaphore.acquire(count);
    order.push_back(name);
}

/// Takes part of the permits again and again and sees that there are never more users than permits.
task<> use_permits(weft::semaphore& semaphore,
                   std::atomic<int>& used,
                   std::atomic<int>& exceeded,
                   std::uint64_t seed,
                   int rounds) {
    weft::test::random_numbers random(seed);
    auto const limit = static_cast<int>(semaphore.limit());
    for (int i = 0; i < rounds; ++i) {
        auto const wanted = static_cast<int>(1 + random.below(semaphore.limit()));
        auto const permit = co_await semaphore.scoped_acquire(static_cast<std::size_t>(wanted));
        if (used.fetch_add(wanted) + wanted > limit) {
            ++exceeded;
        }
        if (random.one_in(4)) {
            co_await weft::yield();
        }
        used.fetch_sub(wanted);
    }
}

}  // namespace

TEST_SUITE("sync/semaphore") {
    TEST_CASE("permits are acquired without waiting as long as there are enough") {
        weft::semaphore semaphore(3, 4);
        CHECK(semaphore.available() == 3);
        CHECK(semaphore.limit() == 4);
        CHECK_FALSE(semaphore.try_acquire(4));
        CHECK(semaphore.try_acquire(2));
        CHECK(semaphore.available() == 1);
        CHECK_FALSE(semaphore.try_acquire(2));
        CHECK(semaphore.try_acquire());
        CHECK(semaphore.try_acquire(0));
        CHECK_FALSE(semaphore.try_acquire());
        semaphore.release(4);
        CHECK(semaphore.available() == 4);
    }

    TEST_CASE("a permit releases what it holds, once") {
        weft::semaphore semaphore(5);
        {
            auto first = semaphore.try_scoped_acquire(3);
            CHECK(first.count() == 3);
            CHECK_FALSE(static_cast<bool>(semaphore.try_scoped_acquire(3)));
            weft::semaphore_permit second = std::move(first);
            CHECK_FALSE(static_cast<bool>(first));
            CHECK(first.count() == 0);
            CHECK(semaphore.available() == 2);
            first = semaphore.try_scoped_acquire(2);
            CHECK(semaphore.available() == 0);
            first.release();
            CHECK(semaphore.available() == 2);
            first.release();
            CHECK(semaphore.available() == 2);
        }
        CHECK(semaphore.available() == 5);
    }

    TEST_CASE("a task without a runtime acquires what is free") {
        weft::semaphore semaphore(2);
        auto work = [](weft::semaphore& s) -> task<std::size_t> {
            auto const permit = co_await s.scoped_acquire(2);
            co_return s.available();
        };
        CHECK(weft::sync_wait(work(semaphore)) == 0);
        CHECK(semaphore.available() == 2);
    }

    TEST_CASE("permits go to tasks in the order in which they began to wait") {
        weft::thread_pool pool({.workers = 1});
        weft::semaphore semaphore(0);
        std::vector<int> order;
        auto work = [&]() -> task<> {
            auto body = [&](weft::nursery& n) -> task<> {
                n.spawn(note_turn(semaphore, 3, order, 1));
                n.spawn(note_turn(semaphore, 1, order, 2));
                n.spawn(note_turn(semaphore, 2, order, 3));
                co_await weft::yield();
                semaphore.release(2);
                CHECK_FALSE(semaphore.try_acquire());  // nobody overtakes the first
                co_await weft::yield();
                CHECK(order.empty());
                semaphore.release(2);
                CHECK(order.empty());  // nobody runs inside release()
                co_await weft::yield();
                CHECK(order == std::vector<int>{1, 2});
                semaphore.release(5);
            };
            co_await weft::scope(body);
        };
        pool.block_on(work());
        CHECK(order == std::vector<int>{1, 2, 3});
        CHECK(semaphore.available() == 3);
    }

    TEST_CASE("never more tasks are inside than there are permits, and no permit is lost") {
        auto const seed = weft::test::fresh_seed();
        CAPTURE(seed);
        for (std::size_t limit : {std::size_t{1}, std::size_t{2}, std::size_t{7}}) {
            weft::thread_pool pool({.workers = 2});
            weft::semaphore semaphore(limit, limit);
            std::atomic<int> used = 0;
            std::atomic<int> exceeded = 0;
            auto work = [&]() -> task<> {
                auto body = [&](weft::nursery& n) -> task<> {
                    for (std::uint64_t i = 0; i < 8; ++i) {
                        n.spawn(use_permits(semaphore, used, exceeded, seed + i, 1'000));
                    }
                    co_return;
                };
                co_await weft::scope(body);
            };
            pool.block_on(work());
            CHECK(exceeded == 0);
            CHECK(semaphore.available() == limit);
        }
    }

    TEST_CASE("whoever acquires last may destroy the semaphore at once") {
        weft::thread_pool pool({.workers = 2});
        auto release = [](weft::semaphore& s) -> task<> {
            s.release();
            co_return;
        };
        auto work = [&]() -> task<> {
            for (int round = 0; round < 3'000; ++round) {
                auto semaphore = std::make_unique<weft::semaphore>(0U);
                auto body = [&](weft::nursery& n) -> task<> {
                    n.spawn(release(*semaphore));
                    n.spawn(release(*semaphore));
                    co_await semaphore->acquire(2);
                    semaphore.reset();
                };
                co_await weft::scope(body);
            }
        };
        pool.block_on(work());
    }

    TEST_CASE("a stop of the first waiter lets those through that want less") {
        weft::thread_pool pool({.workers = 1});
        weft::semaphore semaphore(1);
        std::vector<int> order;
        weft::nursery* first = nullptr;
        auto stopped = [&](weft::nursery& inner) -> task<> {
            first = &inner;
            co_await semaphore.acquire(2);
            order.push_back(1);
        };
        auto waits = [&]() -> task<> { co_await weft::scope(stopped); };
        auto work = [&]() -> task<> {
            auto body = [&](weft::nursery& n) -> task<> {
                n.spawn(waits());
                n.spawn(note_turn(semaphore, 1, order, 2));
                co_await weft::yield();
                co_await weft::yield();
                CHECK(order.empty());
                first->request_stop();
            };
            co_await weft::scope(body);
        };
        pool.block_on(work());
        CHECK(order == std::vector<int>{2});
        CHECK(semaphore.available() == 0);
    }

    TEST_CASE("a semaphore that is released beyond its limit aborts and says so") {
        auto const seen = weft::test::death_of([] {
            weft::semaphore semaphore(1, 2);
            semaphore.release();
            semaphore.release();
        });
        CHECK(weft::test::aborted_saying(seen, "released beyond its limit"));
    }

    TEST_CASE("a semaphore that is destroyed while a task waits aborts and says so") {
        auto const seen = weft::test::death_of([] {
            weft::thread_pool pool({.workers = 1});
            std::optional<weft::semaphore> semaphore;
            semaphore.emplace(0U);
            auto waits = [](weft::semaphore& s) -> task<> { co_await s.acquire(); };
            auto work = [&]() -> task<> {
                weft::spawn(waits(*semaphore));
                co_await weft::yield();
                semaphore.reset();
            };
            pool.block_on(work());
        });
        CHECK(weft::test::aborted_saying(seen, "a semaphore is destroyed while tasks wait"));
    }

    TEST_CASE("a task without a runtime that would have to wait for permits aborts and says so") {
        auto const seen = weft::test::death_of([] {
            weft::semaphore semaphore(0);
            auto work = [](weft::semaphore& s) -> task<> { co_await s.acquire(); };
            weft::sync_wait(work(semaphore));
        });
        CHECK(weft::test::aborted_saying(seen, "semaphore::acquire needs a runtime"));
    }
}
