#include <weft/sync/locks/barrier.hpp>

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

}  // namespace

TEST_SUITE("sync/barrier") {
    TEST_CASE("a barrier for one lets everybody pass, and completes each phase") {
        int phases = 0;
        weft::barrier barrier(1, [&phases]() noexcept { ++phases; });
        auto work = [&]() -> task<int> {
            co_await barrier.arrive_and_wait();
            co_await barrier.arrive_and_wait();
            co_return phases;
        };
        CHECK(weft::sync_wait(work()) == 2);
    }

    TEST_CASE(
        "nobody goes on before all have arrived, in any phase, and the completion function "
        "runs in between") {
        auto const seed = weft::test::fresh_seed();
        CAPTURE(seed);
        constexpr int tasks = 6;
        constexpr int phases = 1'000;
        for (unsigned workers : {1U, 2U, 3U}) {
            weft::thread_pool pool({.workers = workers});
            std::atomic<int> arrived = 0;
            std::atomic<int> wrong = 0;
            int completed = 0;  // the completion function alone writes it
            weft::barrier barrier(tasks, [&]() noexcept {
                ++completed;
                wrong += arrived == completed * tasks ? 0 : 1;
            });
            auto takes_part = [&](std::uint64_t own_seed) -> task<> {
                weft::test::random_numbers random(own_seed);
                for (int phase = 1; phase <= phases; ++phase) {
                    if (random.one_in(3)) {
                        co_await weft::yield();
                    }
                    ++arrived;
                    co_await barrier.arrive_and_wait();
                    wrong += completed >= phase && arrived >= phase * tasks ? 0 : 1;
                }
            };
            auto work = [&]() -> task<> {
                auto body = [&](weft::nursery& n) -> task<> {
                    for (std::uint64_t i = 0; i < tasks; ++i) {
                        n.spawn(takes_part(seed + i));
                    }
                    co_return;
                };
                co_await weft::scope(body);
            };
            pool.block_on(work());
            CHECK(wrong == 0);
            CHECK(completed == phases);
        }
    }

    TEST_CASE("the others go on after the last one, and not inside its arrival") {
        weft::thread_pool pool({.workers = 1});
        weft::barrier barrier(3);
        std::vector<int> order;
        auto arrives = [&](int name) -> task<> {
            co_await barrier.arrive_and_wait();
            order.push_back(name);
        };
        auto work = [&]() -> task<> {
            auto body = [&](weft::nursery& n) -> task<> {
                n.spawn(arrives(2));
                n.spawn(arrives(3));
                co_await weft::yield();
                co_await barrier.arrive_and_wait();
                order.push_back(1);
            };
            co_await weft::scope(body);
        };
        pool.block_on(work());
        CHECK(order == std::vector<int>{1, 2, 3});
    }

    TEST_CASE("one that drops out is not waited for any more") {
        weft::thread_pool pool({.workers = 1});
        int phases = 0;
        weft::barrier barrier(2, [&phases]() noexcept { ++phases; });
        auto stays = [&]() -> task<> {
            for (int i = 0; i < 3; ++i) {
                co_await barrier.arrive_and_wait();
            }
        };
        auto work = [&]() -> task<> {
            auto body = [&](weft::nursery& n) -> task<> {
                n.spawn(stays());
                co_await weft::yield();
                CHECK(phases == 0);
                barrier.arrive_and_drop();
                CHECK(phases == 1);
            };
            co_await weft::scope(body);
        };
        pool.block_on(work());
        CHECK(phases == 3);
    }

    TEST_CASE("a stopped arrival is taken back and can be made again") {
        weft::thread_pool pool({.workers = 1});
        int phases = 0;
        weft::barrier barrier(2, [&phases]() noexcept { ++phases; });
        auto arrives = [&]() -> task<> { co_await barrier.arrive_and_wait(); };
        auto work = [&]() -> task<> {
            auto first = [&](weft::nursery& n) -> task<> {
                n.spawn(arrives());
                co_await weft::yield();
                n.request_stop();
            };
            co_await weft::scope(first);
            auto second = [&](weft::nursery& n) -> task<> {
                n.spawn(arrives());
                co_await weft::yield();
                CHECK(phases == 0);
                n.spawn(arrives());
            };
            co_await weft::scope(second);
        };
        pool.block_on(work());
        CHECK(phases == 1);
    }

    TEST_CASE("any of those who arrived may destroy the barrier after the last phase") {
        weft::thread_pool pool({.workers = 2});
        auto work = [&]() -> task<> {
            for (int round = 0; round < 3'000; ++round) {
                auto barrier = std::make_unique<weft::barrier<>>(2U);
                weft::barrier<>& shared = *barrier;
                auto arrives = [](weft::barrier<>& b) -> task<> { co_await b.arrive_and_wait(); };
                auto body = [&](weft::nursery& n) -> task<> {
                    n.spawn(arrives(shared));
                    co_await shared.arrive_and_wait();
                    barrier.reset();
                };
                co_await weft::scope(body);
            }
        };
        pool.block_on(work());
    }

    TEST_CASE("an arrival at a barrier that everybody has left aborts and says so") {
        auto const seen = weft::test::death_of([] {
            weft::barrier<> barrier(1);
            barrier.arrive_and_drop();
            barrier.arrive_and_drop();
        });
        CHECK(weft::test::aborted_saying(seen, "more tasks arrive at a barrier than take part"));
    }

    TEST_CASE("a barrier that is destroyed while a task waits aborts and says so") {
        auto const seen = weft::test::death_of([] {
            weft::thread_pool pool({.workers = 1});
            std::optional<weft::barrier<>> barrier;
            barrier.emplace(2U);
            auto arrives = [](weft::barrier<>& b) -> task<> { co_await b.arrive_and_wait(); };
            auto work = [&]() -> task<> {
                weft::spawn(arrives(*barrier));
                co_await weft::yield();
                barrier.reset();
            };
            pool.block_on(work());
        });
        CHECK(weft::test::aborted_saying(seen, "a barrier is destroyed while tasks wait"));
    }

    TEST_CASE("a task without a runtime that would have to wait at a barrier aborts and says so") {
        auto const seen = weft::test::death_of([] {
            weft::barrier<> barrier(2);
            auto work = [](weft::barrier<>& b) -> task<> { co_await b.arrive_and_wait(); };
            weft::sync_wait(work(barrier));
        });
        CHECK(weft::test::aborted_saying(seen, "barrier::arrive_and_wait needs a runtime"));
    }
}
