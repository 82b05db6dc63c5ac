#include <weft/sync/locks/latch.hpp>

#include <weft/runtime/pool/runtime_base.hpp>
#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/scope/scope.hpp>
#include <weft/runtime/time/sleep.hpp>
#include <weft/tests/support/death.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <memory>
#include <optional>
#include <vector>

namespace {

using weft::task;

}  // namespace

TEST_SUITE("sync/latch") {
    TEST_CASE("a latch is open when it was counted down to 0, and stays open") {
        weft::latch latch(3);
        CHECK(latch.count() == 3);
        latch.count_down();
        latch.count_down(0);
        CHECK_FALSE(latch.is_open());
        latch.count_down(2);
        CHECK(latch.is_open());
        latch.count_down(0);
        auto work = [](weft::latch& l) -> task<int> {
            co_await l.wait();
            co_return 1;
        };
        CHECK(weft::sync_wait(work(latch)) == 1);
        CHECK(weft::latch(0).is_open());
    }

    TEST_CASE("the last count lets all through, in order, and none inside count_down") {
        weft::thread_pool pool({.workers = 1});
        weft::latch latch(2);
        std::vector<int> order;
        auto waits = [&](int name) -> task<> {
            co_await latch.wait();
            order.push_back(name);
        };
        auto work = [&]() -> task<> {
            auto body = [&](weft::nursery& n) -> task<> {
                n.spawn(waits(1));
                n.spawn(waits(2));
                co_await weft::yield();
                latch.count_down();
                co_await weft::yield();
                CHECK(order.empty());
                latch.count_down();
                CHECK(order.empty());
            };
            co_await weft::scope(body);
        };
        pool.block_on(work());
        CHECK(order == std::vector<int>{1, 2});
    }

    TEST_CASE(
        "what was written before a count is seen behind the latch, and the last to pass may "
        "destroy it") {
        weft::thread_pool pool({.workers = 2});
        constexpr int counters = 4;
        auto work = [&]() -> task<> {
            for (int round = 0; round < 3'000; ++round) {
                auto latch = std::make_unique<weft::latch>(counters);
                int written[counters] = {};
                auto counts = [](weft::latch& l, int& mine) -> task<> {
                    mine = 1;
                    l.count_down();
                    co_return;
                };
                int sum = 0;
                auto body = [&](weft::nursery& n) -> task<> {
                    for (int& each : written) {
                        n.spawn(counts(*latch, each));
                    }
                    co_await latch->wait();
                    latch.reset();
                    for (int const each : written) {
                        sum += each;
                    }
                };
                co_await weft::scope(body);
                if (sum != counters) {
                    FAIL_CHECK("a count was not seen");
                }
            }
        };
        pool.block_on(work());
    }

    TEST_CASE("tasks that arrive and wait go on together") {
        weft::thread_pool pool({.workers = 2});
        constexpr int tasks = 50;
        weft::latch latch(tasks);
        std::atomic<int> arrived = 0;
        std::atomic<int> early = 0;
        auto arrives = [&]() -> task<> {
            ++arrived;
            co_await latch.arrive_and_wait();
            early += arrived == tasks ? 0 : 1;
        };
        auto work = [&]() -> task<> {
            auto body = [&](weft::nursery& n) -> task<> {
                for (int i = 0; i < tasks; ++i) {
                    n.spawn(arrives());
                }
                co_return;
            };
            co_await weft::scope(body);
        };
        pool.block_on(work());
        CHECK(early == 0);
    }

    TEST_CASE("a stopped task that had arrived stays counted") {
        weft::thread_pool pool({.workers = 1});
        weft::latch latch(2);
        auto arrives = [&]() -> task<> { co_await latch.arrive_and_wait(); };
        auto work = [&]() -> task<> {
            auto body = [&](weft::nursery& n) -> task<> {
                n.spawn(arrives());
                co_await weft::yield();
                n.request_stop();
            };
            co_await weft::scope(body);
        };
        pool.block_on(work());
        CHECK(latch.count() == 1);
        latch.count_down();
        CHECK(latch.is_open());
    }

    TEST_CASE("a latch that is counted below 0 aborts and says so") {
        auto const seen = weft::test::death_of([] {
            weft::latch latch(1);
            latch.count_down(2);
        });
        CHECK(weft::test::aborted_saying(seen, "a latch is counted down below 0"));
    }

    TEST_CASE("a latch that is destroyed while a task waits aborts and says so") {
        auto const seen = weft::test::death_of([] {
            weft::thread_pool pool({.workers = 1});
            std::optional<weft::latch> latch;
            latch.emplace(1U);
            auto waits = [](weft::latch& l) -> task<> { co_await l.wait(); };
            auto work = [&]() -> task<> {
                weft::spawn(waits(*latch));
                co_await weft::yield();
                latch.reset();
            };
            pool.block_on(work());
        });
        CHECK(weft::test::aborted_saying(seen, "a latch is destroyed while tasks wait"));
    }

    TEST_CASE("a task without a runtime that would have to wait for a latch aborts and says so") {
        auto const seen = weft::test::death_of([] {
            weft::latch latch(1);
            auto work = [](weft::latch& l) -> task<> { co_await l.wait(); };
            weft::sync_wait(work(latch));
        });
        CHECK(weft::test::aborted_saying(seen, "latch::wait needs a runtime"));
    }
}
