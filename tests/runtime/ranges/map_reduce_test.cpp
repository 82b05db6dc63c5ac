#include <weft/runtime/ranges/map_reduce.hpp>

#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/time/sleep.hpp>
#include <weft/tests/support/crowd.hpp>

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace {

using weft::task;
using weft::test::numbers;

}  // namespace

TEST_SUITE("runtime/map_reduce") {
    TEST_CASE("all values and the initial one are reduced once") {
        for (unsigned const workers : {1U, 2U}) {
            weft::thread_pool pool({.workers = workers});
            auto square = [](int item) -> task<long> {
                co_await weft::yield();
                co_return long{item} * item;
            };
            auto add = [](long left, long right) { return left + right; };
            auto work = [&]() -> task<long> {
                long const sum =
                    co_await weft::map_reduce(numbers(1'000), square, 5L, add, {.limit = 8});
                co_return sum;
            };
            CHECK(pool.block_on(work()) == 332'833'505);
        }
    }

    TEST_CASE("a reduction may give back a reference to what it was called with") {
        weft::thread_pool pool({.workers = 1});
        std::vector<int> const items{1, 2, 3};
        auto text = [](int) -> task<std::string> { co_return std::string(50, 'x'); };
        auto append = [](std::string&& left, std::string&& right) -> std::string&& {
            left += right;
            return std::move(left);
        };
        auto work = [&]() -> task<std::size_t> {
            std::string start(50, 'x');
            auto reduced =
                co_await weft::map_reduce(items, text, std::move(start), append, {.limit = 1});
            co_return reduced.size();
        };
        CHECK(pool.block_on(work()) == 200);
    }

    TEST_CASE("nothing to reduce gives the initial value") {
        weft::thread_pool pool({.workers = 1});
        auto work = []() -> task<std::string> {
            auto text = [](int) -> task<std::string> { co_return "x"; };
            auto join = [](std::string left, std::string right) { return left + right; };
            std::string const start = "start";
            auto reduced =
                co_await weft::map_reduce(std::vector<int>(), text, start, join, {.limit = 2});
            co_return reduced;
        };
        CHECK(pool.block_on(work()) == "start");
    }
}
