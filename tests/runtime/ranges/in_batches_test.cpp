#include <weft/runtime/ranges/in_batches.hpp>

#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/time/sleep.hpp>
#include <weft/tests/support/crowd.hpp>

#include <doctest/doctest.h>

#include <numeric>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace {

using weft::task;
using weft::test::crowd;
using weft::test::numbers;

}  // namespace

TEST_SUITE("runtime/in_batches") {
    TEST_CASE("a batch begins when the one before it has ended") {
        weft::thread_pool pool({.workers = 2});
        crowd visited;
        auto work = [&]() -> task<bool> {
            std::vector<task<int>> tasks;
            for (int i = 0; i < 11; ++i) {
                tasks.push_back(visited.enter(i));
            }
            auto const values = co_await weft::in_batches(std::move(tasks), {.size = 4});
            co_return values == numbers(11);
        };
        CHECK(pool.block_on(work()));
        CHECK(visited.most() <= 4);
        CHECK(visited.entered() == 11);
    }

    TEST_CASE("tasks without values run in batches too") {
        weft::thread_pool pool({.workers = 1});
        int ended = 0;
        auto one = [&ended]() -> task<> {
            co_await weft::yield();
            ++ended;
        };
        auto work = [&]() -> task<> {
            std::vector<task<>> tasks;
            for (int i = 0; i < 5; ++i) {
                tasks.push_back(one());
            }
            co_await weft::in_batches(std::move(tasks), {.size = 2});
        };
        pool.block_on(work());
        CHECK(ended == 5);
    }

    TEST_CASE("a range is cut into spans, the last of which may be shorter") {
        weft::thread_pool pool({.workers = 1});
        auto sum = [](std::span<int> batch) -> task<int> {
            co_await weft::yield();
            co_return std::accumulate(batch.begin(), batch.end(), 0);
        };
        auto work = [&]() -> task<std::vector<int>> {
            auto sums = co_await weft::in_batches(numbers(7), sum, {.size = 3});
            co_return sums;
        };
        CHECK(pool.block_on(work()) == std::vector<int>{3, 12, 6});
    }

    TEST_CASE("after a failure no later batch begins") {
        weft::thread_pool pool({.workers = 1});
        int begun = 0;
        auto work = [&]() -> task<> {
            std::vector<task<int>> tasks;
            for (int i = 0; i < 6; ++i) {
                tasks.push_back([](int& count, int number) -> task<int> {
                    ++count;
                    if (number == 2) {
                        throw std::runtime_error("task " + std::to_string(number));
                    }
                    co_return number;
                }(begun, i));
            }
            (void)co_await weft::in_batches(std::move(tasks), {.size = 2});
        };
        CHECK_THROWS_WITH(pool.block_on(work()), "task 2");
        CHECK(begun == 4);
    }
}
