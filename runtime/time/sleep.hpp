#pragma once

#include <weft/runtime/sched/pinned_operation.hpp>
#include <weft/runtime/time/clock.hpp>

#include <chrono>
#include <concepts>
#include <coroutine>

namespace weft {

/// What sleep_for and sleep_until wait in.
class [[nodiscard]] sleep_operation : private detail::pinned_operation,
                                      private detail::worker_timer {
public:
    explicit sleep_operation(time_span length) noexcept;

    template <class Duration>
    explicit sleep_operation(std::chrono::time_point<clock, Duration> deadline) noexcept
        : sleep_operation(time_span(deadline.time_since_epoch()), false) {}

    [[nodiscard]] bool await_ready() const noexcept { return false; }

    template <std::derived_from<detail::promise_base> Promise>
    void await_suspend(std::coroutine_handle<Promise> waiter) noexcept {
        start(waiter.promise());
    }

    void await_resume() const noexcept {}

    /// As a branch of a select: it would be over as soon as it began.
    [[nodiscard]] bool completes_now() const noexcept;

private:
    sleep_operation(time_span time, bool from_now) noexcept;

    void start(detail::promise_base& waiter) noexcept;
    static void fired(detail::worker_timer& timer) noexcept;
    static void on_cancel(detail::pinned_operation& base) noexcept;
};

/// Suspends for at least `length`; not at all longer than the worker is busy after that.
///
/// Thread safety: awaited in a task that a runtime runs.
/// Cancellation: a stop ends the sleep at once and unwinds the task.
/// Lifetime: nothing is referred to.
/// Resumption: on the pool, through the ready queue, also for a duration of zero.
/// Complexity: O(1), no allocation, no system call of its own.
/// Errors: none.
/// Example: examples/timeout.cpp
[[nodiscard]] inline sleep_operation sleep_for(time_span length) noexcept {
    return sleep_operation(length);
}

/// Suspends until `deadline`. See sleep_for.
template <class Duration>
[[nodiscard]] sleep_operation sleep_until(
    std::chrono::time_point<clock, Duration> deadline) noexcept {
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
