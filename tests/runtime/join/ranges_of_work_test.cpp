// Every join takes a pack, a tuple, and any range of tasks or of other things to await.

#include <weft/runtime/join/all_settled.hpp>
#include <weft/runtime/join/as_completed.hpp>
#include <weft/runtime/join/detail/as_tasks.hpp>
#include <weft/runtime/join/first_success.hpp>
#include <weft/runtime/join/when_all.hpp>
#include <weft/runtime/join/when_any.hpp>
#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/ranges/in_batches.hpp>
#include <weft/runtime/ranges/sequence.hpp>
#include <weft/runtime/scope/scope.hpp>

#include <doctest/doctest.h>

#include <array>
#include <list>
#include <ranges>
#include <span>
#include <tuple>
#include <utility>
#include <vector>

namespace {

using weft::join_handle;
using weft::task;

task<int> give(int value) {
    co_return value;
}

std::vector<int> const one_two{1, 2};

/// `make()` gives a range of work that yields 1 and 2.
template <class Make>
task<> join_in_every_way(Make make) {
    auto const all = co_await weft::when_all(make());
    CHECK(all == one_two);
    auto const settled = co_await weft::all_settled(make());
    CHECK((settled.size() == 2 && *settled[1] == 2));
    auto const any = co_await weft::when_any(make());
    CHECK(any.value == one_two[any.index]);
    int const raced = co_await weft::race(make());
    CHECK((raced == 1 || raced == 2));
    int const first = co_await weft::first_success(make());
    CHECK((first == 1 || first == 2));
    auto const in_turn = co_await weft::sequence(make());
    CHECK(in_turn == one_two);
    auto const batched = co_await weft::in_batches(make(), {.size = 1});
    CHECK(batched == one_two);
    auto add = [](weft::completions<int>& results) -> task<int> {
        int total = 0;
        while (auto each = co_await results.next()) {
            total += each->value();
        }
        co_return total;
    };
    int const sum = co_await weft::as_completed(make(), add);
    CHECK(sum == 3);
}

}  // namespace

TEST_SUITE("runtime/ranges_of_work") {
    TEST_CASE("tasks in any container that is given away are taken out of it") {
        weft::thread_pool pool({.workers = 2});
        auto const vector = [] {
            std::vector<task<int>> tasks;
            tasks.push_back(give(1));
            tasks.push_back(give(2));
            return tasks;
        };
        auto const array = [] { return std::array<task<int>, 2>{give(1), give(2)}; };
        auto const list = [] {
            std::list<task<int>> tasks;
            tasks.push_back(give(1));
            tasks.push_back(give(2));
            return tasks;
        };
        pool.block_on(join_in_every_way(vector));
        pool.block_on(join_in_every_way(array));
        pool.block_on(join_in_every_way(list));
    }

    TEST_CASE("tasks behind a span are taken, and those that a view makes") {
        weft::thread_pool pool({.workers = 2});
        std::vector<task<int>> kept;
        auto const span = [&kept] {
            kept.clear();
            kept.push_back(give(1));
            kept.push_back(give(2));
            return std::span(kept);
        };
        pool.block_on(join_in_every_way(span));
        CHECK_FALSE(static_cast<bool>(kept[0]));
        CHECK_FALSE(static_cast<bool>(kept[1]));
        pool.block_on(
            join_in_every_way([] { return std::views::iota(1, 3) | std::views::transform(give); }));
    }

    TEST_CASE("handles in a container or behind a view are referred to, and stay") {
        weft::thread_pool pool({.workers = 2});
        auto work = [](weft::nursery& n) -> task<> {
            std::vector<join_handle<int>> handles;
            handles.push_back(n.spawn(give(1)));
            handles.push_back(n.spawn(give(2)));
            auto const first = co_await weft::when_all(handles);
            CHECK((*first[0] == 1 && *first[1] == 2));
            CHECK((handles[0] && handles[1]));
            auto const second = co_await weft::when_all(std::span(handles));
            CHECK((*second[0] == 1 && *second[1] == 2));
            auto const third = co_await weft::all_settled(handles | std::views::take(1));
            CHECK(third.size() == 1);
            auto const [one, two] = co_await weft::when_all(handles[0], handles[1]);
            CHECK((one == 1 && two == 2));
            auto const last = co_await weft::when_all(std::move(handles));
            CHECK(last == one_two);
        };
        auto in_scope = [&]() -> task<> { co_await weft::scope(work); };
        pool.block_on(in_scope());
    }

    TEST_CASE("a tuple is as good as a pack") {
        weft::thread_pool pool({.workers = 2});
        auto work = [](weft::nursery& n) -> task<> {
            join_handle<int> handle = n.spawn(give(2));
            auto const pair = [&handle] {
                return std::tuple<task<int>, join_handle<int>&>(give(1), handle);
            };
            auto const all = co_await weft::when_all(pair());
            CHECK(all == std::tuple(1, 2));
            auto const settled = co_await weft::all_settled(pair());
            CHECK(*std::get<1>(settled) == 2);
            auto const any = co_await weft::when_any(pair());
            CHECK(any.index() < 2);
            auto const raced = co_await weft::race(pair());
            CHECK(raced.index() < 2);
            auto const first = co_await weft::first_success(pair());
            CHECK(first.index() < 2);
            auto const in_turn = co_await weft::sequence(pair());
            CHECK(in_turn == std::tuple(1, 2));
            auto count = [](auto& results) -> task<int> {
                int ended = 0;
                while (auto each = co_await results.next()) {
                    ++ended;
                }
                co_return ended;
            };
            int const ended = co_await weft::as_completed(pair(), count);
            CHECK(ended == 2);
        };
        auto in_scope = [&]() -> task<> { co_await weft::scope(work); };
        pool.block_on(in_scope());
    }
}
