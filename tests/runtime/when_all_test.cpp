#include <weft/runtime/when_all.hpp>

#include <weft/runtime/sleep.hpp>
#include <weft/runtime/thread_pool.hpp>
#include <weft/runtime/timeout.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using weft::task;
using weft::when_all;

task<int> value(int v) {
    co_return v;
}

task<> nothing() {
    co_return;
}

task<int> fails(char const* text) {
    throw std::runtime_error(text);
    co_return 0;
}

task<int> after_yields(int v, int count) {
    for (int i = 0; i < count; ++i) {
        co_await weft::yield();
    }
    co_return v;
}

task<long> fib(int n) {
    if (n < 2) {
        co_return n;
    }
    auto [a, b] = co_await when_all(fib(n - 1), fib(n - 2));
    co_return a + b;
}

/// Sleeps until it is stopped; tells whether it ended otherwise.
task<int> sleeps_for_ever(std::atomic<int>& finished) {
    co_await weft::sleep_for(24h);
    ++finished;
    co_return 0;
}

}  // namespace

TEST_SUITE("runtime/when_all") {
    TEST_CASE("the values come back in the order of the arguments") {
        auto work = []() -> task<bool> {
            auto [a, b, c] = co_await when_all(value(1), nothing(), value(3));
            co_return a == 1 && b == weft::unit{} && c == 3;
        };
        CHECK(weft::sync_wait(work()));
        weft::thread_pool pool(2);
        CHECK(pool.block_on(work()));
    }

    TEST_CASE("a range yields a vector in the order of the tasks") {
        auto work = [](int count) -> task<std::vector<int>> {
            std::vector<task<int>> children;
            for (int i = 0; i < count; ++i) {
                children.push_back(after_yields(i, i % 3));
            }
            auto values = co_await when_all(std::move(children));
            co_return values;
        };
        weft::thread_pool pool(2);
        for (int count : {0, 1, 2, 3, 300}) {
            auto const values = pool.block_on(work(count));
            REQUIRE(values.size() == static_cast<std::size_t>(count));
            for (int i = 0; i < count; ++i) {
                CHECK(values[static_cast<std::size_t>(i)] == i);
            }
        }
    }

    TEST_CASE("recursive joins give the same answer on any number of workers") {
        for (unsigned workers : {1U, 2U, 4U}) {
            weft::thread_pool pool(workers);
            CHECK(pool.block_on(fib(22)) == 17711);
        }
    }

    TEST_CASE("the first error in argument order is rethrown after every child has ended") {
        weft::thread_pool pool(2);
        auto work = []() -> task<int> {
            auto [a, b, c] = co_await when_all(value(1), fails("second"), fails("third"));
            co_return a + b + c;
        };
        for (int round = 0; round < 200; ++round) {
            CHECK_THROWS_WITH((void)pool.block_on(work()), "second");
        }
    }

    TEST_CASE("a failing child stops its siblings and they are waited for") {
        std::atomic<int> finished = 0;
        weft::thread_pool pool(2);
        auto work = [&]() -> task<> {
            (void)co_await when_all(
                sleeps_for_ever(finished), fails("broken"), sleeps_for_ever(finished));
        };
        for (int round = 0; round < 50; ++round) {
            CHECK_THROWS_WITH(pool.block_on(work()), "broken");
        }
        CHECK(finished == 0);
        CHECK(pool.task_count() == 0);
    }

    TEST_CASE("a stopped join is taken down before the wait of block_on that it follows") {
        std::atomic<int> finished = 0;
        auto join = [&]() -> task<> {
            co_await when_all(sleeps_for_ever(finished), sleeps_for_ever(finished));
        };
        auto range = [&]() -> task<> {
            std::vector<task<int>> children;
            children.push_back(sleeps_for_ever(finished));
            children.push_back(sleeps_for_ever(finished));
            co_await when_all(std::move(children));
        };
        auto nested = [&]() -> task<> {
            std::vector<task<>> joins;
            joins.push_back(join());
            joins.push_back(range());
            auto both = when_all(std::move(joins));
            co_await weft::timeout(24h, [](auto& all) -> task<> { co_await all; }(both));
        };
        for (int round = 0; round < 20; ++round) {
            weft::thread_pool pool(2);
            auto stop = [&]() -> task<> {
                co_await weft::yield();
                pool.request_stop();
            };
            pool.spawn(stop());
            CHECK_THROWS_AS(pool.block_on(nested()), weft::operation_cancelled);
        }
        CHECK(finished == 0);
    }

    TEST_CASE("children that wait interleave and still join once") {
        weft::thread_pool pool(2);
        auto work = []() -> task<long> {
            long total = 0;
            for (int round = 0; round < 500; ++round) {
                auto [a, b, c] = co_await when_all(
                    after_yields(1, round % 5), after_yields(2, round % 3), value(3));
                total += a + b + c;
            }
            co_return total;
        };
        CHECK(pool.block_on(work()) == 3000);
    }
}
