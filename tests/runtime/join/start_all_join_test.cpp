#include <weft/runtime/join/detail/start_all_join.hpp>

#include <weft/runtime/join/all_settled.hpp>
#include <weft/runtime/join/first_success.hpp>
#include <weft/runtime/join/when_any.hpp>
#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/task/as_result.hpp>
#include <weft/tests/support/allocations.hpp>
#include <weft/tests/support/death.hpp>
#include <weft/tests/support/endings.hpp>
#include <weft/tests/support/seed.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace {

using weft::task;
using weft::test::allocations;
using weft::test::counted;
using weft::test::object_count;

[[gnu::noinline]] task<int> value(int v) {
    co_return v;
}

/// How often memory is asked for while `round` runs many times, after it has run once.
template <class Round>
task<std::size_t> allocations_of(Round round, int rounds) {
    co_await round();
    std::size_t const before = allocations;
    for (int i = 0; i < rounds; ++i) {
        co_await round();
    }
    co_return allocations - before;
}

task<> race_two() {
    int const winner = co_await weft::race(value(1), value(2));
    CHECK(winner == 1);
}

task<> first_success_of_two() {
    int const winner = co_await weft::first_success(value(1), value(2));
    CHECK(winner == 1);
}

task<> gather_two() {
    auto const [a, b] = co_await weft::all_settled(value(1), value(2));
    CHECK(*a + *b == 3);
}

}  // namespace

TEST_SUITE("runtime/start_all_join") {
    TEST_CASE("the forms for a few tasks take no memory besides the frames of the tasks") {
        constexpr int rounds = 1'000;
        weft::thread_pool pool({.workers = 1});
        CHECK(pool.block_on(allocations_of(&race_two, rounds)) == 0);
        CHECK(pool.block_on(allocations_of(&first_success_of_two, rounds)) == 0);
        CHECK(pool.block_on(allocations_of(&gather_two, rounds)) == 0);
    }

    TEST_CASE("of children that end at the same moment exactly one decides") {
        auto const seed = weft::test::fresh_seed();
        CAPTURE(seed);
        weft::test::random_numbers random(seed);
        weft::thread_pool pool({.workers = 2});
        object_count objects;
        auto child = [&objects](int number, int turns) -> task<counted> {
            for (int i = 0; i < turns; ++i) {
                co_await weft::test::stubborn_yield();
            }
            co_return counted(objects, number);
        };
        auto work = [&]() -> task<> {
            for (int round = 0; round < 10'000; ++round) {
                std::vector<task<counted>> children;
                auto const count = static_cast<int>(random.below(4) + 1);
                for (int i = 0; i < count; ++i) {
                    children.push_back(child(i, static_cast<int>(random.below(3))));
                }
                auto const first = co_await weft::when_any(std::move(children));
                CHECK(first.value.value == static_cast<int>(first.index));
                CHECK(objects.alive == 1);
            }
        };
        pool.block_on(work());
        CHECK(objects.alive == 0);
        CHECK(objects.copies == 0);
    }

    TEST_CASE("without a runtime it says which operation needs one, and ends the process") {
        auto const raced = weft::test::death_of([] { weft::sync_wait(race_two()); });
        CHECK(raced.text.find("race needs a runtime") != std::string::npos);
        auto const gathered = weft::test::death_of([] { weft::sync_wait(gather_two()); });
        CHECK(gathered.text.find("all_settled needs a runtime") != std::string::npos);
    }

    TEST_CASE("a task that was awaited before is refused") {
        auto const twice = weft::test::death_of([] {
            auto work = []() -> task<> {
                auto spent = value(1);
                (void)co_await std::move(spent);
                (void)co_await weft::race(std::move(spent), value(2));
            };
            weft::sync_wait(work());
        });
        CHECK(twice.text.find("a task can be awaited once") != std::string::npos);
    }
}
