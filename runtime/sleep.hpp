#pragma once

#include <weft/runtime/pinned_operation.hpp>

#include <chrono>
#include <concepts>
#include <coroutine>

namespace weft {

/// The clock of deadlines: monotonic, as the worker's driver tells it.
using clock = std::chrono::steady_clock;

namespace detail {

/// Negative durations are over at once; the longest are beyond any uptime and do not overflow when
/// added to now.
[[nodiscard]] nanoseconds_u64 to_nanoseconds(clock::duration duration) noexcept;

}  // namespace detail

/// What sleep_for and sleep_until wait in.
class [[nodiscard]] sleep_operation : private detail::pinned_operation,
                                      private detail::worker_timer {
public:
    explicit sleep_operation(clock::duration duration) noexcept;
    explicit sleep_operation(clock::time_point deadline) noexcept;

    [[nodiscard]] bool await_ready() const noexcept { return false; }

    template <std::derived_from<detail::promise_base> Promise>
    void await_suspend(std::coroutine_handle<Promise> waiter) noexcept {
        start(waiter.promise());
    }

    void await_resume() const noexcept {}

private:
    void start(detail::promise_base& waiter) noexcept;
    static void fired(detail::worker_timer& timer) noexcept;
    static void on_cancel(detail::pinned_operation& base) noexcept;
};

/// Suspends for at least `duration`; not at all longer than the worker is busy after that.
///
/// Thread safety: awaited in a task that a runtime runs.
/// Cancellation: a stop ends the sleep at once and unwinds the task.
/// Lifetime: nothing is referred to.
/// Resumption: on the pool, through the ready queue, also for a duration of zero.
/// Complexity: O(1), no allocation, no system call of its own.
/// Errors: none.
/// Example: examples/timeout.cpp
[[nodiscard]] inline sleep_operation sleep_for(clock::duration duration) noexcept {
    return sleep_operation(duration);
}

/// Suspends until `deadline`. See sleep_for.
[[nodiscard]] inline sleep_operation sleep_until(clock::time_point deadline) noexcept {
    return sleep_operation(deadline);
}

/// What yield waits in.
class [[nodiscard]] yield_operation {
public:
    yield_operation() noexcept {}

    [[nodiscard]] bool await_ready() const noexcept { return false; }

    template <std::derived_from<detail::promise_base> Promise>
    void await_suspend(std::coroutine_handle<Promise> waiter) const noexcept {
        requeue(waiter.promise());
    }

    void await_resume() const noexcept {}

private:
    static void requeue(detail::promise_base& waiter) noexcept;
};

/// Lets the other ready tasks of this worker run first. Unwinds the task when a stop has been
/// requested.
///
/// Thread safety: awaited in a task that a runtime runs.
/// Cancellation: a stop requested before the await unwinds the task.
/// Lifetime: nothing is referred to.
/// Resumption: on the pool, behind what is ready now.
/// Complexity: O(1), a few nanoseconds.
/// Errors: none.
/// Example: examples/hello.cpp
[[nodiscard]] inline yield_operation yield() noexcept {
    return yield_operation();
}

}  // namespace weft
