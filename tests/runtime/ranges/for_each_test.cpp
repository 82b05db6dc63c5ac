#include <weft/runtime/ranges/for_each.hpp>

#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/task/as_result.hpp>
#include <weft/runtime/task/exception_group.hpp>
#include <weft/runtime/time/sleep.hpp>
#include <weft/tests/support/crowd.hpp>
#include <weft/tests/support/endings.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <list>
#include <system_error>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using weft::task;
using weft::test::crowd;
using weft::test::numbers;

}  // namespace

TEST_SUITE("runtime/for_each") {
    TEST_CASE("every item is visited once, and never more than the limit at a time") {
        for (unsigned const workers : {1U, 2U}) {
            weft::thread_pool pool({.workers = workers});
            for (std::size_t const limit : {1U, 3U, 1'000U}) {
                CAPTURE(limit);
                crowd visited;
                auto visit = [&visited](int item) { return visited.enter(item); };
                auto work = [&]() -> task<> {
                    co_await weft::for_each(numbers(200), visit, {.limit = limit});
                };
                pool.block_on(work());
                CHECK(visited.entered() == 200);
                CHECK(visited.most() <= static_cast<int>(std::min<std::size_t>(limit, 200)));
                CHECK((limit == 1 || workers != 1 || visited.most() > 1));
            }
        }
    }

    TEST_CASE("items of an lvalue are referred to where they are, in any forward range") {
        weft::thread_pool pool({.workers = 2});
        std::list<int> items = {1, 2, 3};
        auto doubles = [](int& item) -> task<> {
            co_await weft::yield();
            item *= 2;
        };
        auto work = [&]() -> task<> { co_await weft::for_each(items, doubles, {.limit = 2}); };
        pool.block_on(work());
        CHECK(items == std::list<int>{2, 4, 6});
    }

    TEST_CASE("an empty range is complete at once") {
        weft::thread_pool pool({.workers = 1});
        crowd visited;
        auto visit = [&visited](int item) { return visited.enter(item); };
        auto work = [&]() -> task<> {
            co_await weft::for_each(std::vector<int>(), visit, {.limit = 4});
        };
        pool.block_on(work());
        CHECK(visited.entered() == 0);
    }

    TEST_CASE("the first failure stops the others and nothing further is begun") {
        weft::thread_pool pool({.workers = 1});
        std::atomic<int> begun = 0;
        auto visit = [&begun](int item) -> task<> {
            ++begun;
            if (item == 3) {
                throw weft::test::numbered_error(item);
            }
            co_await weft::sleep_for(24h);
        };
        auto work = [&]() -> task<> { co_await weft::for_each(numbers(100), visit, {.limit = 4}); };
        CHECK_THROWS_AS(pool.block_on(work()), weft::test::numbered_error);
        CHECK(begun == 4);
    }

    TEST_CASE("several failures are thrown together in the order of the items") {
        weft::thread_pool pool({.workers = 1});
        auto visit = [](int item) -> task<> {
            for (int i = item; i < 10; ++i) {
                co_await weft::test::stubborn_yield();
            }
            throw weft::test::numbered_error(item);
        };
        auto work = [&]() -> task<std::vector<int>> {
            std::vector<int> failed;
            try {
                co_await weft::for_each(numbers(3), visit, {.limit = 3});
            } catch (weft::exception_group const& group) {
                for (std::exception_ptr const& each : group.errors()) {
                    failed.push_back(weft::test::number_of(each));
                }
            }
            co_return failed;
        };
        CHECK(pool.block_on(work()) == std::vector<int>{0, 1, 2});
    }

    TEST_CASE("a stop ends the wait even where the items never wait themselves") {
        weft::thread_pool pool({.workers = 1});
        for (int const turns : {0, 20}) {
            weft::test::stoppable runner;
            int visited = 0;
            auto visit = [&visited](int) -> task<> {
                ++visited;
                co_return;
            };
            auto work = [&]() -> task<> {
                co_await weft::for_each(numbers(1'000'000), visit, {.limit = 2});
            };
            CHECK_FALSE(pool.block_on(weft::test::run_and_stop(runner, work(), turns)));
            CHECK(visited < 1'000'000);
        }
    }

    TEST_CASE("as_result gives the code of a failure") {
        weft::thread_pool pool({.workers = 1});
        auto visit = [](int) -> task<> {
            throw std::system_error(std::make_error_code(std::errc::io_error));
            co_return;
        };
        auto work = [&]() -> task<bool> {
            auto const ended =
                co_await (weft::for_each(numbers(5), visit, {.limit = 1}) | weft::as_result);
            co_return ended.error() == std::errc::io_error;
        };
        CHECK(pool.block_on(work()));
    }

    TEST_CASE("stops that race the items leave nothing behind") {
        auto const seed = weft::test::fresh_seed();
        CAPTURE(seed);
        weft::test::random_numbers random(seed);
        weft::thread_pool pool({.workers = 2});
        for (int round = 0; round < 10'000; ++round) {
            weft::test::object_count objects;
            weft::test::stoppable runner;
            auto visit = [&objects](int item) {
                return weft::test::scripted_child(
                    {item == 7 ? weft::test::ending::error : weft::test::ending::value, item % 3},
                    item,
                    objects);
            };
            auto work = [&]() -> task<> {
                try {
                    co_await weft::for_each(numbers(8), visit, {.limit = 3});
                } catch (weft::test::numbered_error const&) {
                    CHECK(objects.alive == 0);
                }
            };
            auto const turns = static_cast<int>(random.below(10));
            (void)pool.block_on(weft::test::run_and_stop(runner, work(), turns));
            CHECK(objects.alive == 0);
        }
        CHECK(weft::detail::frame_pool::live_frames() == 0);
    }
}
