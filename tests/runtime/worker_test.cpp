#include <weft/runtime/worker.hpp>

#include <weft/runtime/scope.hpp>
#include <weft/runtime/sleep.hpp>
#include <weft/runtime/thread_pool.hpp>
#include <weft/runtime/when_all.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <vector>

namespace {

using weft::nursery;
using weft::task;

// More than a ready ring holds.
constexpr std::size_t crowd = 3'000;
constexpr std::size_t turns = 4;

task<> take_turns(std::size_t self, std::vector<std::size_t>& order) {
    for (std::size_t turn = 0; turn < turns; ++turn) {
        order.push_back(turn * crowd + self);
        co_await weft::yield();
    }
}

}  // namespace

TEST_SUITE("runtime/worker") {
    TEST_CASE("ready coroutines run first come, first served, however many there are") {
        weft::thread_pool pool(1);
        std::vector<std::size_t> order;
        auto work = [&]() -> task<> {
            auto body = [&](nursery& children) -> task<> {
                for (std::size_t i = 0; i < crowd; ++i) {
                    children.spawn(take_turns(i, order));
                }
                co_return;
            };
            co_await weft::scope(body);
        };
        pool.block_on(work());
        CHECK(order.size() == turns * crowd);
        CHECK(std::is_sorted(order.begin(), order.end()));
    }

    TEST_CASE("a crowd behind a full ring is run to its end while thieves empty the ring") {
        weft::thread_pool pool(4);
        auto member = [](std::size_t yields) -> task<> {
            for (std::size_t i = 0; i < yields; ++i) {
                co_await weft::yield();
            }
        };
        auto work = [&](std::size_t yields) -> task<> {
            auto body = [&, yields](nursery& children) -> task<> {
                for (std::size_t i = 0; i < crowd; ++i) {
                    children.spawn(member(yields));
                }
                co_return;
            };
            co_await weft::scope(body);
        };
        for (std::size_t round = 0; round < 20; ++round) {
            pool.block_on(work(round % 3));
        }
        CHECK(pool.task_count() == 0);
    }

    TEST_CASE("a task that is always ready does not hold up a timer") {
        weft::thread_pool pool(1);
        bool is_over = false;
        auto spin = [&]() -> task<> {
            while (!is_over) {
                co_await weft::yield();
            }
        };
        auto sleeper = [&]() -> task<> {
            co_await weft::sleep_for(std::chrono::milliseconds(1));
            is_over = true;
        };
        auto work = [&]() -> task<> { co_await weft::when_all(spin(), sleeper()); };
        pool.block_on(work());
        CHECK(is_over);
    }

    TEST_CASE("endless forking does not hold up a timer") {
        weft::thread_pool pool(1);
        bool is_over = false;
        auto leaf = []() -> task<int> { co_return 1; };
        auto fork = [&]() -> task<> {
            while (!is_over) {
                co_await weft::when_all(leaf(), leaf());
            }
        };
        auto sleeper = [&]() -> task<> {
            co_await weft::sleep_for(std::chrono::milliseconds(1));
            is_over = true;
        };
        auto work = [&]() -> task<> { co_await weft::when_all(fork(), sleeper()); };
        pool.block_on(work());
        CHECK(is_over);
    }

    TEST_CASE("a crowd on one worker is shared with another") {
        weft::thread_pool pool(2);
        std::atomic<unsigned> seen = 0;
        auto work = [&]() -> task<> {
            auto until_both_have_run = [&](nursery& children) -> task<> {
                auto visit = [&]() -> task<> {
                    while (seen != 3) {
                        seen |= 1U << weft::detail::current_worker()->index();
                        co_await weft::yield();
                    }
                };
                for (std::size_t i = 0; i < crowd; ++i) {
                    children.spawn(visit);
                }
                co_return;
            };
            co_await weft::scope(until_both_have_run);
        };
        pool.block_on(work());
        CHECK(seen == 3);
    }
}
