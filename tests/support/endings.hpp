#pragma once

/// Children that end as they are told, in the order in which they are told, for the tests of what
/// runs several tasks at once.

#include <weft/runtime/sched/scheduler.hpp>
#include <weft/runtime/scope/scope.hpp>
#include <weft/runtime/task/task.hpp>
#include <weft/runtime/time/sleep.hpp>
#include <weft/tests/support/counted.hpp>
#include <weft/tests/support/seed.hpp>
#include <weft/tests/support/stoppable.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <concepts>
#include <coroutine>
#include <exception>
#include <numeric>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace weft::test {

enum class ending { value, error, stopped };

/// What a child throws.
class numbered_error : public std::runtime_error {
public:
    explicit numbered_error(int which)
        : std::runtime_error("child " + std::to_string(which))
        , number(which) {}

    int number;
};

/// Lets others run, like yield(), but does not look at the stop.
class stubborn_yield {
public:
    [[nodiscard]] bool await_ready() const noexcept { return false; }

    template <std::derived_from<detail::promise_base> Promise>
    void await_suspend(std::coroutine_handle<Promise> waiter) const noexcept {
        detail::promise_base& promise = waiter.promise();
        promise.context_->sched->schedule(promise);
    }

    void await_resume() const noexcept {}
};

/// Gives the stop state that the awaiting coroutine follows, without a look at it.
class own_stop {
public:
    [[nodiscard]] bool await_ready() const noexcept { return false; }

    template <std::derived_from<detail::promise_base> Promise>
    [[nodiscard]] bool await_suspend(std::coroutine_handle<Promise> coroutine) noexcept {
        stop_ = &coroutine.promise().stop();
        return false;
    }

    [[nodiscard]] detail::stop_state& await_resume() const noexcept { return *stop_; }

private:
    detail::stop_state* stop_ = nullptr;
};

/// A child by number. On one worker, children that start together end in the order of their turns.
struct child_script {
    ending how = ending::value;
    int turns = 0;
    bool ignores_stop = false;
};

/// Takes its turns, then ends as told: a stopped one sleeps until somebody stops it. It holds a
/// counted object all the while, and its value is one.
inline task<counted> scripted_child(child_script script, int number, object_count& count) {
    counted const held(count, number);
    for (int i = 0; i < script.turns; ++i) {
        if (script.ignores_stop) {
            co_await stubborn_yield();
        } else {
            co_await yield();
        }
    }
    if (script.how == ending::error) {
        throw numbered_error(number);
    }
    if (script.how == ending::stopped) {
        co_await sleep_for(std::chrono::hours(24));
    }
    co_return counted(count, number);
}

[[nodiscard]] inline std::vector<task<counted>> scripted_children(
    std::vector<child_script> const& scripts, object_count& count) {
    std::vector<task<counted>> children;
    for (int number = 0; child_script const& each : scripts) {
        children.push_back(scripted_child(each, number++, count));
    }
    return children;
}

/// Calls `body(scripts)` for 0 to 3 children with every combination of endings in every order.
template <class Body>
void for_every_ending_in_every_order(Body body) {
    constexpr int turns_apart = 3;
    constexpr std::size_t kinds = 3;
    for (std::size_t count = 0, combinations = 1; count <= 3; ++count, combinations *= kinds) {
        for (std::size_t code = 0; code < combinations; ++code) {
            std::vector<std::size_t> order(count);
            std::iota(order.begin(), order.end(), std::size_t{0});
            do {
                std::vector<child_script> scripts(count);
                for (std::size_t i = 0, rest = code; i < count; ++i, rest /= kinds) {
                    scripts[i].how = static_cast<ending>(rest % kinds);
                    scripts[i].turns = turns_apart * static_cast<int>(order[i]);
                }
                body(scripts);
            } while (std::next_permutation(order.begin(), order.end()));
        }
    }
}

/// The child that ends first among those that end as `wanted(how)` says; -1 when none does.
template <class Wanted>
[[nodiscard]] int first_to_end(std::vector<child_script> const& scripts, Wanted wanted) {
    int first = -1;
    for (std::size_t i = 0; i < scripts.size(); ++i) {
        if (wanted(scripts[i].how) &&
            (first < 0 || scripts[i].turns < scripts[static_cast<std::size_t>(first)].turns)) {
            first = static_cast<int>(i);
        }
    }
    return first;
}

/// Runs `work` and asks it to stop after some turns, or before it starts when there are none. True
/// when it came to its end.
inline task<bool> run_and_stop(stoppable& runner, task<> work, int turns) {
    bool came_to_its_end = false;
    auto stop_later = [&runner](int left) -> task<> {
        for (; left > 0; --left) {
            co_await stubborn_yield();
        }
        runner.request_stop();
    };
    auto body = [&](nursery& children) -> task<> {
        if (turns == 0) {
            runner.request_stop();
        } else {
            children.spawn(stop_later(turns));
        }
        came_to_its_end = co_await runner.run(std::move(work));
    };
    co_await scope(body);
    runner.forget_request();
    co_return came_to_its_end;
}

/// Runs `gather(children)` many times with random children on `pool` and stops it at a random
/// moment. Nothing may be left behind.
template <class Pool, class Gather>
void race_against_stop(Pool& pool, int rounds, Gather gather) {
    auto const seed = fresh_seed();
    CAPTURE(seed);
    random_numbers random(seed);
    for (int round = 0; round < rounds; ++round) {
        std::vector<child_script> scripts(random.below(4) + 1);
        for (child_script& each : scripts) {
            each.how = static_cast<ending>(random.below(3));
            each.turns = static_cast<int>(random.below(6));
            each.ignores_stop = random.one_in(4);
        }
        object_count objects;
        stoppable runner;
        auto work = [&]() -> task<> {
            auto inner = gather(scripted_children(scripts, objects));
            try {
                co_await std::move(inner);
            } catch (std::exception const&) {
                // how it ends is for other tests
            }
        };
        int const turns = static_cast<int>(random.below(12));
        (void)pool.block_on(run_and_stop(runner, work(), turns));
        CHECK(objects.alive == 0);
    }
}

/// The number that a numbered_error carries; -1 for anything else.
[[nodiscard]] inline int number_of(std::exception_ptr const& error) {
    try {
        std::rethrow_exception(error);
    } catch (numbered_error const& numbered) {
        return numbered.number;
    } catch (...) {
        return -1;
    }
}

}  // namespace weft::test
