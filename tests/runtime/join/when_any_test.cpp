#include <weft/runtime/join/when_any.hpp>

#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/task/as_result.hpp>
#include <weft/runtime/time/timeout.hpp>
#include <weft/tests/support/endings.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <variant>
#include <vector>

namespace {

using namespace std::chrono_literals;
using weft::race;
using weft::task;
using weft::when_any;
using weft::test::child_script;
using weft::test::counted;
using weft::test::ending;
using weft::test::object_count;

constexpr int long_after = 40;

task<int> value_after(int v, int turns) {
    for (int i = 0; i < turns; ++i) {
        co_await weft::yield();
    }
    co_return v;
}

task<std::string> text_after(std::string text, int turns) {
    for (int i = 0; i < turns; ++i) {
        co_await weft::yield();
    }
    co_return text;
}

task<> sleeps() {
    co_await weft::sleep_for(24h);
}

task<int> sleeps_for_value() {
    co_await weft::sleep_for(24h);
    co_return 0;
}

task<int> fails_with(std::errc code) {
    throw std::system_error(std::make_error_code(code));
    co_return 0;
}

task<int&> reference(int& target) {
    co_return target;
}

bool ends_by_itself(ending how) {
    return how != ending::stopped;
}

/// What a race of scripted children is told to come to, and what it came to.
struct race_outcome {
    int number = -1;  // of the child that gave the value or the error
    bool failed = false;
};

task<> run_race(std::vector<child_script> const& scripts,
                object_count& objects,
                race_outcome& ended) {
    try {
        auto children = weft::test::scripted_children(scripts, objects);
        auto const first = co_await when_any(std::move(children));
        CHECK(first.index == static_cast<std::size_t>(first.value.value));
        ended.number = first.value.value;
    } catch (weft::test::numbered_error const& error) {
        ended.number = error.number;
        ended.failed = true;
    }
    CHECK(objects.alive == 0);
}

}  // namespace

TEST_SUITE("runtime/when_any") {
    TEST_CASE("the first value comes with its task's number") {
        weft::thread_pool pool({.workers = 1});
        auto work = []() -> task<bool> {
            auto const first = co_await when_any(value_after(1, 5), text_after("two", 2), sleeps());
            co_return first.index() == 1 && std::get<1>(first) == "two";
        };
        CHECK(pool.block_on(work()));
    }

    TEST_CASE("a race of tasks of one type gives that type, of several types a variant") {
        weft::thread_pool pool({.workers = 1});
        auto work = []() -> task<bool> {
            int const same = co_await race(value_after(1, 5), value_after(2, 0));
            auto const mixed = co_await race(sleeps(), value_after(3, 1));
            int target = 0;
            int& referred = co_await race(reference(target), reference(target));
            co_await race(sleeps(), []() -> task<> { co_return; }());
            co_return same == 2 && std::get<1>(mixed) == 3 && &referred == &target;
        };
        CHECK(pool.block_on(work()));
    }

    TEST_CASE("every child starts, however long the first one runs on") {
        weft::thread_pool pool({.workers = 1});
        auto work = []() -> task<int> {
            auto first = []() -> task<int> {
                co_await weft::sleep_for(24h);
                co_return 1;
            };
            int const winner = co_await race(first(), value_after(2, 0), first());
            co_return winner;
        };
        CHECK(pool.block_on(work()) == 2);
    }

    TEST_CASE("the first child to end decides, among every combination of endings in every order") {
        weft::thread_pool pool({.workers = 1});
        weft::test::for_every_ending_in_every_order([&](std::vector<child_script> const& scripts) {
            if (scripts.empty()) {
                return;
            }
            object_count objects;
            weft::test::stoppable runner;
            race_outcome ended;
            int const expected = weft::test::first_to_end(scripts, ends_by_itself);
            bool const has_winner = expected >= 0;
            CHECK(pool.block_on(weft::test::run_and_stop(
                      runner, run_race(scripts, objects, ended), long_after)) == has_winner);
            CHECK(ended.number == expected);
            CHECK(ended.failed ==
                  (has_winner && scripts[static_cast<std::size_t>(expected)].how == ending::error));
            CHECK(objects.alive == 0);
        });
    }

    TEST_CASE("a stop before the first child ends unwinds the parent") {
        weft::thread_pool pool({.workers = 1});
        weft::test::for_every_ending_in_every_order([&](std::vector<child_script> scripts) {
            if (scripts.empty()) {
                return;
            }
            for (child_script& each : scripts) {
                each.turns += 10;
            }
            for (int const turns : {0, 5}) {
                object_count objects;
                weft::test::stoppable runner;
                race_outcome ended;
                CHECK_FALSE(pool.block_on(
                    weft::test::run_and_stop(runner, run_race(scripts, objects, ended), turns)));
                CHECK(ended.number == -1);
                CHECK(objects.alive == 0);
            }
        });
    }

    TEST_CASE("a child that ends in spite of the parent's stop still wins") {
        weft::thread_pool pool({.workers = 1});
        object_count objects;
        weft::test::stoppable runner;
        race_outcome ended;
        std::vector<child_script> const scripts = {{ending::stopped, 0, false},
                                                   {ending::value, 100, true}};
        CHECK(
            pool.block_on(weft::test::run_and_stop(runner, run_race(scripts, objects, ended), 5)));
        CHECK(ended.number == 1);
    }

    TEST_CASE("a loser that ignores the stop is waited for, and its value or error is dropped") {
        weft::thread_pool pool({.workers = 2});
        for (ending const how : {ending::value, ending::error}) {
            object_count objects;
            // Ends long after the stop, however late the winner comes.
            auto loses = [&]() -> task<counted> {
                counted const held(objects);
                auto& stop = co_await weft::test::own_stop();
                for (int turns_left = 100; turns_left > 0;) {
                    co_await weft::test::stubborn_yield();
                    turns_left -= stop.stop_requested() ? 1 : 0;
                }
                if (how == ending::error) {
                    throw weft::test::numbered_error(0);
                }
                co_return counted(objects, 0);
            };
            auto work = [&]() -> task<int> {
                std::vector<task<counted>> children;
                children.push_back(loses());
                children.push_back(weft::test::scripted_child(child_script(), 1, objects));
                auto const first = co_await when_any(std::move(children));
                CHECK(objects.alive == 1);
                co_return first.value.value;
            };
            CHECK(pool.block_on(work()) == 1);
            CHECK(objects.alive == 0);
        }
    }

    TEST_CASE("losers learn that a sibling has finished, or failed") {
        weft::thread_pool pool({.workers = 1});
        auto observes = [](weft::stop_kind& told) -> task<int> {
            for (;;) {
                co_await weft::test::stubborn_yield();
                if (auto& stop = co_await weft::test::own_stop(); stop.stop_requested()) {
                    told = stop.reason().kind();
                    co_return 0;
                }
            }
        };
        auto work = [&]() -> task<bool> {
            auto finished = weft::stop_kind::none;
            auto failed = weft::stop_kind::none;
            (void)co_await race(observes(finished), value_after(1, 3));
            auto const ended = co_await (race(observes(failed), fails_with(std::errc::io_error)) |
                                         weft::as_result);
            co_return finished == weft::stop_kind::sibling_finished&& failed ==
                weft::stop_kind::sibling_failed&& ended.error() == std::errc::io_error;
        };
        CHECK(pool.block_on(work()));
    }

    TEST_CASE("as_result gives the value, or the first error's code") {
        weft::thread_pool pool({.workers = 1});
        auto work = []() -> task<bool> {
            auto const value = co_await (when_any(sleeps(), value_after(1, 1)) | weft::as_result);
            auto const error = co_await (race(fails_with(std::errc::io_error), sleeps_for_value()) |
                                         weft::as_result);
            std::vector<task<int>> range;
            range.push_back(sleeps_for_value());
            range.push_back(value_after(4, 0));
            auto const from_range = co_await (when_any(std::move(range)) | weft::as_result);
            co_return std::get<1>(*value) == 1 && error.error() == std::errc::io_error &&
                from_range->index == 1 && from_range->value == 4;
        };
        CHECK(pool.block_on(work()));
    }

    TEST_CASE("as_result of a stopped race is operation_canceled, and the parent goes on") {
        weft::thread_pool pool({.workers = 1});
        weft::test::stoppable runner;
        bool told = false;
        auto work = [&]() -> task<> {
            auto const ended = co_await (race(sleeps(), sleeps()) | weft::as_result);
            told = ended.error() == std::errc::operation_canceled;
        };
        CHECK(pool.block_on(weft::test::run_and_stop(runner, work(), 5)));
        CHECK(told);
    }

    TEST_CASE("a deadline before or during a race ends it, and children that end in time win") {
        weft::thread_pool pool({.workers = 2});
        auto race_sleepers = []() -> task<int> {
            int const none = co_await race(sleeps_for_value(), sleeps_for_value());
            co_return none;
        };
        auto race_values = []() -> task<int> {
            int const first = co_await race(value_after(1, 0), sleeps_for_value());
            co_return first;
        };
        auto work = [&]() -> task<bool> {
            bool right = true;
            for (auto const limit : {0us, 200us}) {
                auto const late =
                    co_await (weft::timeout(limit, race_sleepers()) | weft::as_result);
                right = right && late.error() == std::errc::timed_out;
            }
            int const first = co_await weft::timeout(24h, race_values());
            co_return right&& first == 1;
        };
        CHECK(pool.block_on(work()));
    }

    TEST_CASE("the first of no tasks is an invalid argument") {
        weft::thread_pool pool({.workers = 1});
        auto work = []() -> task<bool> {
            auto const none = co_await (when_any(std::vector<task<int>>()) | weft::as_result);
            bool thrown = false;
            try {
                (void)co_await race(std::vector<task<int>>());
            } catch (std::system_error const& error) {
                thrown = error.code() == std::errc::invalid_argument;
            }
            co_return thrown&& none.error() == std::errc::invalid_argument;
        };
        CHECK(pool.block_on(work()));
    }

    TEST_CASE("what a loser holds is gone when it ends, not when its siblings do") {
        weft::thread_pool pool({.workers = 1});
        object_count objects;
        auto holds = [](counted) -> task<> { co_await weft::sleep_for(24h); };
        auto waits_until_gone = [&objects]() -> task<> {
            while (objects.alive != 0) {
                co_await weft::test::stubborn_yield();
            }
        };
        auto work = [&]() -> task<> {
            auto holder = holds(counted(objects));
            co_await race(std::move(holder), waits_until_gone(), []() -> task<> { co_return; }());
        };
        pool.block_on(work());
        CHECK(objects.alive == 0);
    }

    TEST_CASE("races nest, and the stop reaches the innermost loser") {
        weft::thread_pool pool({.workers = 2});
        auto nested = [](auto& self, int depth) -> task<int> {
            if (depth == 0) {
                co_await weft::sleep_for(24h);
            }
            int const inner = co_await race(self(self, depth - 1), sleeps_for_value());
            co_return inner;
        };
        auto work = [&]() -> task<int> {
            int const winner = co_await race(nested(nested, 50), value_after(1, 20));
            co_return winner;
        };
        CHECK(pool.block_on(work()) == 1);
    }

    TEST_CASE("stops that race the children's ends leave nothing behind") {
        for (unsigned const workers : {1U, 2U}) {
            CAPTURE(workers);
            weft::thread_pool pool({.workers = workers});
            weft::test::race_against_stop(
                pool, 5'000, [](std::vector<task<counted>> children) -> task<> {
                    (void)co_await race(std::move(children));
                });
        }
        CHECK(weft::detail::frame_pool::live_frames() == 0);
    }

    TEST_CASE("of a thousand children one wins and the others are gone") {
        weft::thread_pool pool({.workers = 2});
        auto work = []() -> task<bool> {
            std::vector<task<int>> children;
            for (int i = 0; i < 1'000; ++i) {
                children.push_back(i == 700 ? value_after(i, 10) : sleeps_for_value());
            }
            auto const first = co_await when_any(std::move(children));
            co_return first.index == 700 && first.value == 700;
        };
        CHECK(pool.block_on(work()));
        CHECK(pool.task_count() == 0);
    }
}
