#pragma once

/// What a task can ask about itself.
///
/// A task finds its surroundings through the coroutine that asks, never through its thread: so
/// these are awaited. Such an await has its answer at once.

#include <weft/runtime/coro/promise.hpp>
#include <weft/runtime/sched/pass_stop.hpp>
#include <weft/runtime/time/sleep.hpp>

#include <chrono>
#include <concepts>
#include <coroutine>

namespace weft {

/// The time at which the surrounding timeout ends, or none.
///
/// Thread safety: a value.
/// Cancellation: never suspends.
/// Lifetime: refers to nothing.
/// Complexity: O(1).
/// Errors: none.
/// Example: examples/timeout.cpp
class deadline {
public:
    /// None.
    deadline() noexcept = default;

    explicit deadline(clock::time_point time) noexcept : time_(time) {}

    /// False where nothing limits the task.
    [[nodiscard]] explicit operator bool() const noexcept {
        return time_ != clock::time_point::max();
    }

    /// The largest time there is where nothing limits the task.
    [[nodiscard]] clock::time_point time() const noexcept { return time_; }

    /// Zero once it has passed; the longest duration there is where nothing limits the task.
    [[nodiscard]] clock::duration remaining() const noexcept;

    friend bool operator==(deadline, deadline) noexcept = default;

private:
    clock::time_point time_ = clock::time_point::max();
};

namespace detail {

/// An await that reads the context and does not wait.
template <class Value, Value (*Read)(context const&) noexcept>
class [[nodiscard]] context_query {
public:
    [[nodiscard]] bool await_ready() const noexcept { return false; }

    template <std::derived_from<promise_base> Promise>
    [[nodiscard]] bool await_suspend(std::coroutine_handle<Promise> asker) noexcept {
        context_ = asker.promise().context_;
        return !spend_budget() && give_way(asker.promise());
    }

    [[nodiscard]] Value await_resume() const noexcept { return Read(*context_); }

private:
    context const* context_ = nullptr;
};

[[nodiscard]] deadline deadline_of(context const& surroundings) noexcept;

[[nodiscard]] inline stop_token token_of(context const& surroundings) noexcept {
    return stop_token(surroundings.stop);
}

[[nodiscard]] inline bool is_stopped(context const& surroundings) noexcept {
    return surroundings.stop->stop_requested();
}

[[nodiscard]] inline stop_reason reason_of(context const& surroundings) noexcept {
    return surroundings.stop->reason();
}

[[nodiscard]] stop_token soft_token_of(context const& surroundings) noexcept;

[[nodiscard]] inline bool is_soft_stopped(context const& surroundings) noexcept {
    return soft_token_of(surroundings).stop_requested() || surroundings.stop->stop_requested();
}

/// Throws if the task is asked to stop.
class [[nodiscard]] stop_check_operation {
public:
    [[nodiscard]] bool await_ready() const noexcept { return false; }

    template <std::derived_from<promise_base> Promise>
    [[nodiscard]] bool await_suspend(std::coroutine_handle<Promise> asker) noexcept {
        stopped_ = asker.promise().stop().stop_requested();
        return !spend_budget() && give_way(asker.promise());
    }

    void await_resume() const {
        if (stopped_) [[unlikely]] {
            throw_cancelled();
        }
    }

private:
    [[noreturn]] static void throw_cancelled();

    bool stopped_ = false;
};

}  // namespace detail

/// The task that awaits: `co_await this_task::deadline()`, and so on.
///
/// Thread safety: awaited in any weft coroutine; a token may be handed to other threads.
/// Cancellation: nothing here waits. stop_point() unwinds the task when a stop was requested.
/// Lifetime: a token must not be used after the scope, join or timeout that surrounds the task.
/// Resumption: at once, where the task runs; now and then behind what is ready, so that a loop
///     which asks and waits for nothing lets others run.
/// Complexity: O(1), no atomic read-modify-write once the task's stop state is linked.
/// Errors: throw_if_stopped() throws operation_cancelled.
/// Example: examples/graceful_shutdown.cpp
namespace this_task {

/// When the surrounding timeout ends. Yields a weft::deadline.
[[nodiscard]] inline auto deadline() noexcept {
    return detail::context_query<weft::deadline, &detail::deadline_of>();
}

/// Yields the token of the stop that unwinds this task.
[[nodiscard]] inline auto stop_token() noexcept {
    return detail::context_query<weft::stop_token, &detail::token_of>();
}

/// Yields whether the task is asked to stop: its next operation will unwind it.
[[nodiscard]] inline auto stop_requested() noexcept {
    return detail::context_query<bool, &detail::is_stopped>();
}

/// Yields why the task is asked to stop; of the kind `none` when it is not.
[[nodiscard]] inline auto stop_reason() noexcept {
    return detail::context_query<weft::stop_reason, &detail::reason_of>();
}

/// Yields the token of the soft stop: it asks the task to come to an end and unwinds nothing.
/// Requested before the stop of the innermost scope or of the runtime, or right behind it where
/// there is no grace. What ends the task alone, as a timeout or a lost race around it, does not ask
/// softly: stop_token() tells of that.
[[nodiscard]] inline auto soft_stop_token() noexcept {
    return detail::context_query<weft::stop_token, &detail::soft_token_of>();
}

/// Yields whether the task is asked to come to an end, softly or not.
[[nodiscard]] inline auto soft_stop_requested() noexcept {
    return detail::context_query<bool, &detail::is_soft_stopped>();
}

/// Unwinds the task if it is asked to stop; for long computations.
[[nodiscard]] inline detail::checkpoint stop_point() noexcept {
    return {};
}

/// Throws operation_cancelled if the task is asked to stop; for code that wants to catch it.
[[nodiscard]] inline detail::stop_check_operation throw_if_stopped() noexcept {
    return {};
}

}  // namespace this_task

}  // namespace weft
