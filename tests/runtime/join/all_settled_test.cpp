#include <weft/runtime/join/all_settled.hpp>

#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/task/as_result.hpp>
#include <weft/tests/support/endings.hpp>
#include <weft/tests/support/seed.hpp>

#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

namespace {

using weft::all_settled;
using weft::task;
using weft::test::child_script;
using weft::test::counted;
using weft::test::ending;
using weft::test::object_count;

using outcomes = std::vector<weft::settled<counted>>;

constexpr int long_after = 40;

task<int> value(int v) {
    co_await weft::yield();
    co_return v;
}

task<> nothing() {
    co_return;
}

task<int&> reference(int& target) {
    co_return target;
}

task<int> fails() {
    throw weft::test::numbered_error(7);
    co_return 0;
}

bool ended_as(weft::settled<counted> const& outcome, ending how, int number) {
    switch (how) {
        case ending::value:
            return outcome.has_value() && outcome->value == number;
        case ending::error:
            return outcome.has_error() && weft::test::number_of(outcome.error()) == number;
        case ending::stopped:
            return outcome.was_stopped();
    }
    return false;
}

bool ended_as_told(outcomes const& ended, std::vector<child_script> const& scripts) {
    bool right = ended.size() == scripts.size();
    for (std::size_t i = 0; right && i < scripts.size(); ++i) {
        right = ended_as(ended[i], scripts[i].how, static_cast<int>(i));
    }
    return right;
}

}  // namespace

TEST_SUITE("runtime/all_settled") {
    TEST_CASE("each outcome stands at the place of its task") {
        weft::thread_pool pool({.workers = 2});
        auto work = []() -> task<bool> {
            int target = 3;
            auto [a, b, c, d] =
                co_await all_settled(value(1), nothing(), reference(target), fails());
            b.value();
            co_return a.value() == 1 && &c.value() == &target&& d.has_error();
        };
        CHECK(pool.block_on(work()));
    }

    TEST_CASE("every combination of endings is told as it was, in every order") {
        weft::thread_pool pool({.workers = 1});
        weft::test::for_every_ending_in_every_order([&](std::vector<child_script> const& scripts) {
            object_count objects;
            weft::test::stoppable runner;
            bool told_right = false;
            auto gather = [&]() -> task<> {
                auto children = weft::test::scripted_children(scripts, objects);
                auto ended = co_await (all_settled(std::move(children)) | weft::as_result);
                told_right = ended_as_told(*ended, scripts);
            };
            CHECK(pool.block_on(weft::test::run_and_stop(runner, gather(), long_after)));
            CHECK(told_right);
            CHECK(objects.alive == 0);
        });
    }

    TEST_CASE("a stop unwinds the parent only if it kept a child from its end") {
        weft::thread_pool pool({.workers = 1});
        weft::test::for_every_ending_in_every_order([&](std::vector<child_script> const& scripts) {
            object_count objects;
            weft::test::stoppable runner;
            auto gather = [&]() -> task<> {
                auto children = weft::test::scripted_children(scripts, objects);
                auto ended = co_await all_settled(std::move(children));
                CHECK(ended_as_told(ended, scripts));
            };
            bool const nobody_is_stopped = weft::test::first_to_end(scripts, [](ending how) {
                                               return how == ending::stopped;
                                           }) < 0;
            CHECK(pool.block_on(weft::test::run_and_stop(runner, gather(), long_after)) ==
                  nobody_is_stopped);
            CHECK(objects.alive == 0);
        });
    }

    TEST_CASE("an empty range is complete at once") {
        weft::thread_pool pool({.workers = 1});
        auto work = []() -> task<bool> {
            auto const ended = co_await all_settled(std::vector<task<int>>());
            co_return ended.empty();
        };
        CHECK(pool.block_on(work()));
    }

    TEST_CASE("no child starts when the parent is stopped already") {
        weft::thread_pool pool({.workers = 1});
        weft::test::stoppable runner;
        int started = 0;
        auto child = [&]() -> task<> {
            ++started;
            co_await weft::yield();
            ++started;
        };
        auto gather = [&]() -> task<> { co_await all_settled(child(), child(), child()); };
        CHECK_FALSE(pool.block_on(weft::test::run_and_stop(runner, gather(), 0)));
        CHECK(started == 0);
    }

    TEST_CASE("a child that ignores the stop is waited for and keeps its value") {
        weft::thread_pool pool({.workers = 1});
        object_count objects;
        std::vector<child_script> const scripts = {{ending::value, 200, true},
                                                   {ending::stopped, 0, false}};
        weft::test::stoppable runner;
        bool kept = false;
        auto gather = [&]() -> task<> {
            auto children = weft::test::scripted_children(scripts, objects);
            auto ended = co_await (all_settled(std::move(children)) | weft::as_result);
            kept = ended_as_told(*ended, scripts);
        };
        CHECK(pool.block_on(weft::test::run_and_stop(runner, gather(), 5)));
        CHECK(kept);
        CHECK(objects.alive == 0);
    }

    TEST_CASE("what a child holds is gone when it ends, not when its siblings do") {
        weft::thread_pool pool({.workers = 1});
        object_count objects;
        auto takes = [](counted) -> task<> { co_return; };
        auto waits_until_gone = [&objects]() -> task<> {
            while (objects.alive != 0) {
                co_await weft::yield();
            }
        };
        auto gather = [&]() -> task<> {
            auto first = takes(counted(objects));
            co_await all_settled(std::move(first), waits_until_gone());
        };
        pool.block_on(gather());
        CHECK(objects.alive == 0);
    }

    TEST_CASE("a value whose move throws is told as that error") {
        struct thrower {
            thrower() = default;

            thrower(thrower&&) { throw weft::test::numbered_error(5); }
        };

        auto child = []() -> task<thrower> { co_return {}; };
        weft::thread_pool pool({.workers = 1});
        auto work = [&]() -> task<int> {
            std::vector<task<thrower>> children;
            children.push_back(child());
            auto const ended = co_await all_settled(std::move(children));
            co_return weft::test::number_of(ended[0].error());
        };
        CHECK(pool.block_on(work()) == 5);
    }

    TEST_CASE("stops that race the children's ends leave nothing behind") {
        for (unsigned const workers : {1U, 2U}) {
            CAPTURE(workers);
            weft::thread_pool pool({.workers = workers});
            weft::test::race_against_stop(
                pool, 5'000, [](std::vector<task<counted>> children) -> task<> {
                    co_await all_settled(std::move(children));
                });
        }
        CHECK(weft::detail::frame_pool::live_frames() == 0);
    }

    TEST_CASE("a thousand children are told in order") {
        weft::thread_pool pool({.workers = 2});
        auto work = []() -> task<bool> {
            std::vector<task<int>> children;
            for (int i = 0; i < 1'000; ++i) {
                children.push_back(value(i));
            }
            auto const ended = co_await all_settled(std::move(children));
            bool right = true;
            for (int i = 0; i < 1'000; ++i) {
                right = right && *ended[static_cast<std::size_t>(i)] == i;
            }
            co_return right;
        };
        CHECK(pool.block_on(work()));
    }
}
