// Everything that awaits tasks, in every form, put through the same mill: children that end in
// every way and order, stops and deadlines before, during and beside their ends, children that do
// not listen. WEFT_DRIVER=thread runs it on the pool that only computes.
//
// WEFT_MATRIX_ROUNDS says how many rounds each race has.

#include <weft/io/runtime.hpp>
#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/task/detail/settle.hpp>
#include <weft/tests/support/await_subject.hpp>
#include <weft/tests/support/combinator_subjects.hpp>
#include <weft/tests/support/endings.hpp>
#include <weft/tests/support/policy_subjects.hpp>
#include <weft/tests/support/scope_subjects.hpp>
#include <weft/tests/support/seed.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <functional>
#include <ostream>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using namespace weft::test;
using weft::nursery;
using weft::task;
using weft::detail::frame_pool;

/// Calls `body(pool)` with a pool of the kind that the environment asks for.
template <class Body>
void on_pool(unsigned workers, Body body) {
    char const* const driver = std::getenv("WEFT_DRIVER");
    if (driver != nullptr && std::string_view(driver) == "thread") {
        weft::thread_pool pool({.workers = workers});
        body(static_cast<weft::runtime_base&>(pool));
    } else {
        weft::runtime runtime({.workers = workers});
        body(static_cast<weft::runtime_base&>(runtime));
    }
}

/// Everything in runtime/ that awaits tasks.
std::vector<await_subject> const& every_await_subject() {
    static std::vector<await_subject> const all = [] {
        std::vector<await_subject> list;
        for (auto const each : {combinator_subjects(), scope_subjects(), policy_subjects()}) {
            list.insert(list.end(), each.begin(), each.end());
        }
        return list;
    }();
    return all;
}

int rounds_per_race() {
    char const* const text = std::getenv("WEFT_MATRIX_ROUNDS");
    return text != nullptr ? std::atoi(text) : 10'000;
}

/// What the children of one play do and leave.
struct stage {
    object_count objects;
    std::atomic<int> begun{0};
    std::atomic<int> ended{0};
    int alive_at_end = 0;  // of what children hold, when the code behind the await has its turn
    int ended_at_end = 0;
};

task<int> perform(child_script script, stage& where, counted) {
    counted const held(where.objects);
    ++where.begun;
    for (int i = 0; i < script.turns; ++i) {
        if (script.ignores_stop) {
            co_await stubborn_yield();
        } else {
            co_await weft::yield();
        }
    }
    if (script.how == ending::error) {
        ++where.ended;
        throw std::system_error(std::make_error_code(std::errc::broken_pipe));
    }
    if (script.how == ending::stopped) {
        co_await weft::sleep_for(24h);
    }
    ++where.ended;
    co_return 1;
}

std::vector<task<int>> cast_of(std::vector<child_script> const& scripts, stage& where) {
    std::vector<task<int>> children;
    children.reserve(scripts.size());
    for (child_script const& each : scripts) {
        children.push_back(perform(each, where, counted(where.objects)));
    }
    return children;
}

/// Awaits, in a frame whose locals go when the await is over, however it ends.
task<> attend(await_subject const& subject, std::vector<task<int>> children, stage& where) {
    struct curtain {
        explicit curtain(stage& at) : where(at) {}

        curtain(curtain const&) = delete;
        curtain& operator=(curtain const&) = delete;

        ~curtain() {
            where.alive_at_end = where.objects.alive;
            where.ended_at_end = where.ended;
        }

        stage& where;
    };

    curtain const last(where);
    auto play = subject.make(std::move(children));
    co_await std::move(play);
}

/// "value", "error", "timed out", "cancelled" or "stopped".
task<std::string> outcome_of(task<> work) {
    weft::detail::settle_operation<void> ended(std::move(work));
    co_await ended;
    if (ended.was_stopped()) {
        co_return "stopped";
    }
    std::exception_ptr const error = ended.error();
    if (error == nullptr) {
        co_return "value";
    }
    std::string text = "error";
    try {
        std::rethrow_exception(error);
    } catch (std::system_error const& failed) {
        if (failed.code() == std::errc::timed_out) {
            text = "timed out";
        } else if (failed.code() == std::errc::operation_canceled) {
            text = "cancelled";
        }
    } catch (std::exception const&) {
        // a group
    }
    co_return text;
}

/// The outcome under a scope that is stopped when `come(turn)` says so.
template <class Come>
task<std::string> outcome_in_stopped_scope(task<> work, Come come) {
    std::string outcome;
    auto stop_later = [&](nursery& n) -> task<> {
        for (int turn = 1; !come(turn); ++turn) {
            co_await stubborn_yield();
        }
        n.request_stop();
    };
    auto inner = [&](nursery& n) -> task<> {
        if (come(0)) {
            n.request_stop();
        } else {
            n.spawn_without_handle(stop_later(n));
        }
        outcome = co_await outcome_of(std::move(work));
    };
    co_await weft::scope(std::ref(inner));
    co_return outcome;
}

/// What the outcome is to be when children end as written, and whoever waits still is stopped then.
std::string expected(await_subject::family kind, std::vector<child_script> const& scripts) {
    auto const has = [&](ending how) {
        return std::ranges::any_of(scripts, [&](auto const& each) { return each.how == how; });
    };
    auto const of = [](ending how) {
        return how == ending::value ? "value" : how == ending::error ? "error" : "stopped";
    };
    auto const is_not_value = [](auto const& each) { return each.how != ending::value; };
    switch (kind) {
        case await_subject::family::all:
            return of(has(ending::error)     ? ending::error
                      : has(ending::stopped) ? ending::stopped
                                             : ending::value);
        case await_subject::family::in_turn: {
            auto const first = std::ranges::find_if(scripts, is_not_value);
            return first == scripts.end() ? "value" : of(first->how);
        }
        case await_subject::family::first: {
            int const first =
                first_to_end(scripts, [](ending how) { return how != ending::stopped; });
            return first >= 0        ? of(scripts[static_cast<std::size_t>(first)].how)
                   : scripts.empty() ? "error"
                                     : "stopped";
        }
        case await_subject::family::first_success:
            return of(has(ending::value)     ? ending::value
                      : has(ending::stopped) ? ending::stopped
                                             : ending::error);
        case await_subject::family::settled:
            return has(ending::stopped) ? "stopped" : "value";
        case await_subject::family::waits:
        case await_subject::family::refuses:
            return "stopped";
    }
    return "";
}

std::vector<child_script> sleepers(await_subject const& subject) {
    child_script sleeping;
    sleeping.how = ending::stopped;
    return std::vector<child_script>(subject.most, sleeping);
}

/// Calls `body(pool, subject)` for everything that awaits, on one worker and on two.
template <class Body>
void for_every_subject(Body body) {
    auto const frames = frame_pool::live_frames();
    for (unsigned const workers : {1U, 2U}) {
        CAPTURE(workers);
        on_pool(workers, [&](weft::runtime_base& pool) {
            for (await_subject const& subject : every_await_subject()) {
                std::string const name = subject.name;
                CAPTURE(name);
                body(pool, subject);
            }
        });
        CHECK(frame_pool::live_frames() == frames);
    }
}

void check_nothing_is_left(stage const& where) {
    CHECK(where.alive_at_end == 0);
    CHECK(where.objects.alive == 0);
    CHECK(where.ended_at_end == where.ended);
}

}  // namespace

TEST_SUITE("io/await_matrix") {
    TEST_CASE("up to three children end with values, errors and stops in every order") {
        auto const frames = frame_pool::live_frames();
        on_pool(1, [](weft::runtime_base& pool) {
            for_every_ending_in_every_order([&](std::vector<child_script> const& scripts) {
                for (await_subject const& subject : every_await_subject()) {
                    if (scripts.size() < subject.fewest || scripts.size() > subject.most) {
                        continue;
                    }
                    std::string const name = subject.name;
                    CAPTURE(name);
                    stage where;
                    auto const late = [&](int turn) { return turn >= 200; };
                    auto play = attend(subject, cast_of(scripts, where), where);
                    CHECK(pool.block_on(outcome_in_stopped_scope(std::move(play), late)) ==
                          expected(subject.kind, scripts));
                    check_nothing_is_left(where);
                }
            });
        });
        CHECK(frame_pool::live_frames() == frames);
    }

    TEST_CASE("whoever is stopped already does not wait") {
        for_every_subject([](weft::runtime_base& pool, await_subject const& subject) {
            stage where;
            auto play = attend(subject, cast_of(sleepers(subject), where), where);
            auto const at_once = [](int) { return true; };
            CHECK(pool.block_on(outcome_in_stopped_scope(std::move(play), at_once)) == "stopped");
            check_nothing_is_left(where);
        });
    }

    TEST_CASE("a stop ends a wait, and with it every child's") {
        for_every_subject([](weft::runtime_base& pool, await_subject const& subject) {
            stage where;
            auto play = attend(subject, cast_of(sleepers(subject), where), where);
            auto const soon = [&](int turn) {
                return turn >= 20 && (where.begun > 0 || subject.most == 0);
            };
            CHECK(pool.block_on(outcome_in_stopped_scope(std::move(play), soon)) == "stopped");
            CHECK(where.ended == 0);
            check_nothing_is_left(where);
        });
    }

    TEST_CASE("a stop of the whole runtime's tasks ends a wait") {
        auto const frames = frame_pool::live_frames();
        for (await_subject const& subject : every_await_subject()) {
            std::string const name = subject.name;
            CAPTURE(name);
            stage where;
            on_pool(2, [&](weft::runtime_base& pool) {
                (void)pool.spawn(attend(subject, cast_of(sleepers(subject), where), where));
                while (where.begun == 0 && subject.most != 0) {
                    std::this_thread::yield();
                }
            });
            CHECK(where.ended == 0);
            check_nothing_is_left(where);
        }
        CHECK(frame_pool::live_frames() == frames);
    }

    TEST_CASE("a deadline that has passed, or passes, ends a wait and is told as such") {
        for_every_subject([](weft::runtime_base& pool, await_subject const& subject) {
            bool const refuses = subject.kind == await_subject::family::refuses;
            for (auto const limit : {0us, 300us}) {
                // A deadline that has passed comes before the refusal.
                std::string const told = refuses && limit != 0us ? "error" : "timed out";
                stage where;
                auto play = attend(subject, cast_of(sleepers(subject), where), where);
                auto limited = [&]() -> task<> { co_await weft::timeout(limit, std::move(play)); };
                CHECK(pool.block_on(outcome_of(limited())) == told);
                CHECK(where.ended == 0);
                check_nothing_is_left(where);
            }
            stage where;
            auto play = attend(subject, cast_of(sleepers(subject), where), where);
            auto late = [&]() -> task<> {
                co_await weft::with_deadline(weft::clock::now() - 1h, std::move(play));
            };
            CHECK(pool.block_on(outcome_of(late())) == "timed out");
            check_nothing_is_left(where);
        });
    }

    TEST_CASE("a child that ignores the stop is waited for") {
        for_every_subject([](weft::runtime_base& pool, await_subject const& subject) {
            if (subject.most == 0) {
                return;
            }
            child_script deaf;
            deaf.turns = 60;
            deaf.ignores_stop = true;
            stage where;
            auto play = attend(subject, cast_of({deaf}, where), where);
            auto const soon = [&](int) { return where.begun > 0; };
            auto const outcome = pool.block_on(outcome_in_stopped_scope(std::move(play), soon));
            CHECK((outcome == "value" || outcome == "stopped"));
            CHECK(where.ended_at_end == 1);
            check_nothing_is_left(where);
        });
    }

    TEST_CASE("a stop that races the children's ends leaves nothing behind, and no third outcome") {
        auto const seed = fresh_seed();
        CAPTURE(seed);
        random_numbers random(seed);
        auto const frames = frame_pool::live_frames();
        int const rounds = rounds_per_race();
        MESSAGE("seed " << seed << ", " << rounds << " rounds for each of "
                        << every_await_subject().size());
        on_pool(2, [&](weft::runtime_base& pool) {
            for (await_subject const& subject : every_await_subject()) {
                std::string const name = subject.name;
                CAPTURE(name);
                for (int round = 0; round < rounds; ++round) {
                    auto const spread = subject.most - subject.fewest + 1;
                    std::vector<child_script> scripts(subject.fewest + random.below(spread));
                    for (child_script& each : scripts) {
                        // Nobody sleeps for ever: the stop may come first, or last.
                        each.how = random.one_in(3) ? ending::error : ending::value;
                        each.turns = static_cast<int>(random.below(4));
                        each.ignores_stop = random.one_in(8);
                    }
                    stage where;
                    auto const moment = static_cast<int>(random.below(8));
                    auto const some_time = [&](int turn) { return turn >= moment; };
                    auto play = attend(subject, cast_of(scripts, where), where);
                    auto const outcome =
                        pool.block_on(outcome_in_stopped_scope(std::move(play), some_time));
                    bool const is_known =
                        outcome == "value" || outcome == "error" || outcome == "stopped";
                    if (!is_known || where.alive_at_end != 0 || where.objects.alive != 0) {
                        CAPTURE(round);
                        CAPTURE(outcome);
                        CHECK(is_known);
                        check_nothing_is_left(where);
                    }
                }
            }
        });
        CHECK(frame_pool::live_frames() == frames);
    }
}
