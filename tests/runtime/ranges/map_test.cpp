#include <weft/runtime/ranges/map.hpp>

#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/time/sleep.hpp>
#include <weft/tests/support/counted.hpp>
#include <weft/tests/support/crowd.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using weft::task;
using weft::test::crowd;
using weft::test::numbers;

task<int> fails(int number) {
    throw std::runtime_error("item " + std::to_string(number));
    co_return 0;
}

}  // namespace

TEST_SUITE("runtime/map") {
    TEST_CASE("values come in the order of the items, or as they are there") {
        weft::thread_pool pool({.workers = 2});
        crowd visited;
        auto visit = [&visited](int item) { return visited.enter(item); };
        auto work = [&]() -> task<bool> {
            auto const in_order = co_await weft::map(numbers(300), visit, {.limit = 7});
            auto unordered = co_await weft::map_unordered(numbers(300), visit, {.limit = 7});
            std::sort(unordered.begin(), unordered.end());
            co_return in_order == numbers(300) && unordered == numbers(300);
        };
        CHECK(pool.block_on(work()));
        CHECK(visited.most() <= 7);
    }

    TEST_CASE("whoever is ready first comes first where order does not matter") {
        weft::thread_pool pool({.workers = 1});
        auto visit = [](int item) -> task<int> {
            for (int i = item; i < 20; ++i) {
                co_await weft::yield();
            }
            co_return item;
        };
        auto work = [&]() -> task<std::vector<int>> {
            auto values = co_await weft::map_unordered(numbers(4), visit, {.limit = 4});
            co_return values;
        };
        CHECK(pool.block_on(work()) == std::vector<int>{3, 2, 1, 0});
    }

    TEST_CASE("values that cannot be copied or made by default are moved through, none is lost") {
        weft::thread_pool pool({.workers = 2});
        weft::test::object_count objects;
        auto visit = [&objects](int item) -> task<weft::test::counted> {
            co_return weft::test::counted(objects, item);
        };
        auto work = [&]() -> task<> {
            auto const values = co_await weft::map(numbers(50), visit, {.limit = 4});
            CHECK(objects.alive == 50);
            CHECK(values[49].value == 49);
        };
        pool.block_on(work());
        CHECK(objects.alive == 0);
        CHECK(objects.copies == 0);
    }

    TEST_CASE("flags are kept apart although std::vector<bool> packs them") {
        weft::thread_pool pool({.workers = 2});
        auto is_odd = [](int item) -> task<bool> {
            co_await weft::yield();
            co_return item % 2 == 1;
        };
        auto work = [&]() -> task<bool> {
            auto const flags = co_await weft::map(numbers(100), is_odd, {.limit = 8});
            bool right = flags.size() == 100;
            for (std::size_t i = 0; i < flags.size(); ++i) {
                right = right && flags[i] == (i % 2 == 1);
            }
            co_return right;
        };
        CHECK(pool.block_on(work()));
    }

    TEST_CASE("a failure is rethrown and the values that were there are destroyed") {
        weft::thread_pool pool({.workers = 2});
        weft::test::object_count objects;
        auto visit = [&objects](int item) -> task<weft::test::counted> {
            if (item == 20) {
                (void)co_await fails(item);
            }
            co_return weft::test::counted(objects, item);
        };
        auto work = [&]() -> task<> { (void)co_await weft::map(numbers(50), visit, {.limit = 4}); };
        CHECK_THROWS_WITH(pool.block_on(work()), "item 20");
        CHECK(objects.alive == 0);
    }
}
