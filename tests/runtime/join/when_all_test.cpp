#include <weft/runtime/join/when_all.hpp>

#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/time/sleep.hpp>
#include <weft/runtime/time/timeout.hpp>

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
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

/// Counts the objects of its kind that are alive.
template <std::size_t Bytes>
struct tracked {
    inline static std::atomic<int> alive = 0;

    explicit tracked(int v) : value(v) { ++alive; }

    tracked(tracked&& other) noexcept(Bytes % 2 == 0) : value(other.value) { ++alive; }

    tracked& operator=(tracked&&) = default;

    ~tracked() { --alive; }

    int value;
    std::array<char, Bytes> filling{};
};

template <std::size_t Bytes>
task<tracked<Bytes>> makes(int v, int yields) {
    for (int i = 0; i < yields; ++i) {
        co_await weft::yield();
    }
    co_return tracked<Bytes>(v);
}

template <std::size_t Bytes>
task<tracked<Bytes>> fails_instead(int yields) {
    for (int i = 0; i < yields; ++i) {
        co_await weft::yield();
    }
    throw std::runtime_error("broken");
    co_return tracked<Bytes>(0);
}

/// Joins three whose values are of this size; every second round the middle one fails.
template <std::size_t Bytes>
task<int> joins_tracked(int round) {
    if (round % 2 == 0) {
        auto [a, b, c] = co_await when_all(
            makes<Bytes>(1, round % 3), makes<Bytes>(2, round % 5), makes<Bytes>(4, round % 7));
        co_return a.value + b.value + c.value;
    }
    (void)co_await when_all(
        makes<Bytes>(1, round % 3), fails_instead<Bytes>(round % 5), makes<Bytes>(4, round % 7));
    co_return 0;
}

task<int&> refers_to(int& object) {
    co_return object;
}

struct alignas(64) wide {
    int value;
};

task<wide> makes_wide(int v) {
    co_return wide{v};
}

/// A chain of joins, each in a child of the one before.
task<int> nested_joins(int depth) {
    if (depth == 0) {
        co_return 0;
    }
    auto [below, one] = co_await when_all(nested_joins(depth - 1), value(1));
    co_return below + one;
}

/// The same with the deep child last.
task<int> nested_joins_last(int depth) {
    if (depth == 0) {
        co_return 0;
    }
    auto [one, below] = co_await when_all(value(1), nested_joins_last(depth - 1));
    co_return below + one;
}

/// A tree of joins whose leaves wait until a sibling of the root fails.
task<int> waiting_tree(int depth, std::atomic<int>& finished) {
    if (depth == 0) {
        co_return co_await sleeps_for_ever(finished);
    }
    auto [a, b] =
        co_await when_all(waiting_tree(depth - 1, finished), waiting_tree(depth - 1, finished));
    co_return a + b;
}

task<int> fails_after(int yields) {
    for (int i = 0; i < yields; ++i) {
        co_await weft::yield();
    }
    throw std::runtime_error("broken");
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
        weft::thread_pool pool({.workers = 2});
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
        weft::thread_pool pool({.workers = 2});
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
            weft::thread_pool pool({.workers = workers});
            CHECK(pool.block_on(fib(22)) == 17711);
        }
    }

    TEST_CASE("the first error in argument order is rethrown after every child has ended") {
        weft::thread_pool pool({.workers = 2});
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
        weft::thread_pool pool({.workers = 2});
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
            weft::thread_pool pool({.workers = 2});
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
        weft::thread_pool pool({.workers = 2});
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

    TEST_CASE_TEMPLATE("values of every kind are destroyed once, whoever fails",
                       Bytes,
                       std::integral_constant<std::size_t, 8>,
                       std::integral_constant<std::size_t, 9>,
                       std::integral_constant<std::size_t, 1000>) {
        constexpr std::size_t bytes = Bytes::value;
        for (unsigned workers : {1U, 3U}) {
            weft::thread_pool pool({.workers = workers});
            for (int round = 0; round < 60; ++round) {
                if (round % 2 == 0) {
                    CHECK(pool.block_on(joins_tracked<bytes>(round)) == 7);
                } else {
                    CHECK_THROWS_WITH((void)pool.block_on(joins_tracked<bytes>(round)), "broken");
                }
                CHECK(tracked<bytes>::alive == 0);
            }
        }
    }

    TEST_CASE("a join that is never awaited frees its children") {
        {
            auto unused = when_all(makes<8>(1, 0), makes<8>(2, 0));
        }
        std::vector<task<tracked<8>>> children;
        children.push_back(makes<8>(1, 0));
        {
            auto unused = when_all(std::move(children));
        }
        CHECK(tracked<8>::alive == 0);
    }

    TEST_CASE("references and over-aligned values arrive") {
        int object = 5;
        auto work = [&]() -> task<bool> {
            auto [reference, big] = co_await when_all(refers_to(object), makes_wide(7));
            co_return &reference == &object&& big.value == 7 &&
                reinterpret_cast<std::uintptr_t>(&big) % alignof(wide) == 0;
        };
        weft::thread_pool pool({.workers = 1});
        CHECK(pool.block_on(work()));
    }

    TEST_CASE("a chain of joins as long as you like needs no stack") {
        constexpr int depth = 100'000;
        CHECK(weft::sync_wait(nested_joins(depth)) == depth);
        CHECK(weft::sync_wait(nested_joins_last(depth)) == depth);
        for (unsigned workers : {1U, 2U}) {
            weft::thread_pool pool({.workers = workers});
            CHECK(pool.block_on(nested_joins(depth)) == depth);
            CHECK(pool.block_on(nested_joins_last(depth)) == depth);
        }
    }

    TEST_CASE("a failure stops every leaf below its siblings, on all workers") {
        std::atomic<int> finished = 0;
        for (unsigned workers : {1U, 2U, 4U}) {
            weft::thread_pool pool({.workers = workers});
            for (int round = 0; round < 30; ++round) {
                auto work = [&]() -> task<int> {
                    auto [a, b] =
                        co_await when_all(waiting_tree(6, finished), fails_after(round % 7));
                    co_return a + b;
                };
                CHECK_THROWS_WITH((void)pool.block_on(work()), "broken");
            }
        }
        CHECK(finished == 0);
    }

    TEST_CASE("tasks in a row of the caller's deliver into a row of the caller's") {
        auto sum = [](int count, int yields) -> task<long> {
            std::vector<task<int>> children;
            for (int i = 0; i < count; ++i) {
                children.push_back(after_yields(i, yields == 0 ? 0 : i % yields));
            }
            std::vector<int> results(static_cast<std::size_t>(count) + 1, -1);
            co_await when_all(std::span(children), std::span(results));
            long total = results.back();
            for (int i = 0; i < count; ++i) {
                total += children[static_cast<std::size_t>(i)] ? -1'000'000 : 0;
                total += results[static_cast<std::size_t>(i)] == i ? 1 : 0;
            }
            co_return total;
        };
        for (unsigned workers : {1U, 2U}) {
            weft::thread_pool pool({.workers = workers});
            for (int count : {0, 1, 2, 3, 300}) {
                CHECK(pool.block_on(sum(count, 0)) == count - 1);
                CHECK(pool.block_on(sum(count, 3)) == count - 1);
            }
        }
    }

    TEST_CASE("a row of tasks joins void, strings and errors") {
        weft::thread_pool pool({.workers = 2});
        auto text = [](int i) -> task<std::string> {
            if (i > 2) {
                co_await weft::yield();
            }
            co_return std::string(40, static_cast<char>('a' + i));
        };
        auto work = [&]() -> task<bool> {
            std::array<task<>, 2> quiet = {nothing(), nothing()};
            co_await when_all(std::span(quiet));
            std::array<task<std::string>, 4> children = {text(0), text(1), text(2), text(3)};
            std::array<std::string, 4> results;
            co_await when_all(std::span(children), std::span(results));
            co_return results[0][0] == 'a' && results[3][39] == 'd';
        };
        CHECK(pool.block_on(work()));
        auto failing = [&]() -> task<int> {
            std::array<task<int>, 4> children = {
                value(1), fails("second"), value(3), fails("last")};
            std::array<int, 4> results{};
            co_await when_all(std::span(children), std::span(results));
            co_return 0;
        };
        CHECK_THROWS_WITH((void)pool.block_on(failing()), "second");
    }

    TEST_CASE("a list of tasks frees those that nobody awaited") {
        {
            weft::inline_tasks<tracked<8>, 4> unused;
            unused.push_back(makes<8>(1, 0));
            CHECK(unused.size() == 1);
        }
        weft::thread_pool pool({.workers = 2});
        auto work = []() -> task<int> {
            weft::inline_tasks<int, 4> children;
            for (int i = 1; i <= 3; ++i) {
                children.push_back(after_yields(i, i));
            }
            std::array<int, 4> results{};
            co_await when_all(children.tasks(), std::span(results));
            co_return results[0] + 10 * results[1] + 100 * results[2] + results[3];
        };
        CHECK(pool.block_on(work()) == 321);
    }
}
