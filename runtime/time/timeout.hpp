#pragma once

/// Deadlines around a task.
///
/// Protocol. The timer lives on the worker that started the wait, its home; the child may end on
/// any worker.
///   child ends on the home: the timer is cancelled or has fired; the parent goes on
///   child ends elsewhere:   a request travels to the home, which cancels the timer and makes the
///                           parent ready there
///   An outer deadline that is not later does the work of this one: no timer is armed then, and the
///   parent goes on where the child ended.
/// I1 The timer is out of the wheel, and not being fired, when the parent goes on: the home's
///    thread does both.
/// I2 Success wins: a child that ends with a value or an error delivers it even if the timer has
///    fired.
/// I3 A child that was stopped ended by the deadline if the timer has fired and the surrounding
///    task is not stopped itself; then the await fails with std::errc::timed_out. Otherwise the
///    stop is passed on.
/// I4 A deadline that has passed stops the child before it starts: a child that waits for nothing
///    still delivers its value (I2).

#include <weft/runtime/sched/pass_stop.hpp>
#include <weft/runtime/task/call.hpp>
#include <weft/runtime/task/detail/guarded_await.hpp>
#include <weft/runtime/task/task.hpp>
#include <weft/runtime/time/sleep.hpp>

#include <coroutine>
#include <new>
#include <source_location>
#include <utility>

namespace weft {

namespace detail {

/// When a deadline is: a time since the clock's beginning, or a while from the await.
struct deadline_request {
    time_span time;
    bool relative;
    std::source_location asked_at;
};

/// Whose stops reach the child, beside the deadline's.
enum class stop_from : bool { nobody, parent };

/// The part of a timeout that does not depend on the child's type.
class timeout_state : private end_hook, private worker_timer, private remote_request {
public:
    timeout_state(promise_base& parent,
                  promise_base& child,
                  deadline_request limit,
                  stop_from follows,
                  when_stopped policy) noexcept;
    timeout_state(timeout_state const&) = delete;
    timeout_state& operator=(timeout_state const&) = delete;

    /// Gives what runs next: the child.
    [[nodiscard]] std::coroutine_handle<> begin() noexcept;

    /// After the child's end: it was stopped, and its frame is gone (guarded_await I2).
    [[nodiscard]] bool is_child_gone() const noexcept { return is_child_gone_; }

    /// After the child's end: it was stopped by the limit.
    [[nodiscard]] bool ended_by_limit() noexcept;

private:
    static std::coroutine_handle<> child_done(end_hook& base, promise_base& child) noexcept;
    static void fired(worker_timer& timer) noexcept;
    void expire() noexcept;
    static void on_request(remote_request& request) noexcept;
    [[nodiscard]] bool passes_stop_on() noexcept;

    // --- constant after begin() ----------------------------------------------------
    stop_context context_;
    ambient_state ambient_;
    worker* home_;
    promise_base* parent_;
    promise_base* child_;
    std::source_location asked_at_;
    stop_from follows_;
    when_stopped when_stopped_;
    bool has_timer_;

    // --- whoever ends the child; read after its end -----------------------------------
    bool is_child_gone_ = false;

    // --- home's thread; read after the child's end ----------------------------------
    bool expired_ = false;
};

/// What timeout() asks for.
struct timeout_guard {
    using state = timeout_state;
    static constexpr char const* awaited_twice = "a timeout is awaited twice";

    deadline_request limit;
    stop_from follows = stop_from::parent;

    void make(void* at,
              promise_base& parent,
              promise_base& child,
              when_stopped policy) const noexcept {
        ::new (at) timeout_state(parent, child, limit, follows, policy);
    }

    [[nodiscard]] static std::errc error_of(timeout_state& ended) noexcept {
        return ended.ended_by_limit() ? std::errc::timed_out : std::errc::operation_canceled;
    }

    [[noreturn]] static void throw_stopped();
};

}  // namespace detail

/// What `co_await timeout(limit, task)` waits in; the result form gives a result<T> and hides the
/// stop.
template <class T>
using timeout_operation = detail::guarded_await<T, detail::timeout_guard>;

/// Runs a task, and stops it when it has not ended within `limit`. The task is always waited for.
///
/// The deadline is ambient: everything below the task sees it (this_task::deadline()), and
/// deadlines below can only be earlier.
///
/// Thread safety: awaited in a task that a runtime runs.
/// Cancellation: a stop of the awaiting task stops the child and unwinds the task. What the
///     deadline stops sees the reason `deadline` and the place of this call.
/// Lifetime: takes the task over; what it refers to must outlive the await.
/// Resumption: where the child ended if that is the worker that began the wait, else through that
///     worker's ready queue.
/// Complexity: one timer, or none below an earlier deadline; O(1), no allocation.
/// Errors: std::system_error with std::errc::timed_out when the limit ended the task; else the
///     task's own. Below an earlier deadline it is that one's await that fails.
/// Example: examples/timeout.cpp
template <detail::plain_value T>
[[nodiscard]] timeout_operation<T> timeout(
    time_span limit,
    task<T> child,
    std::source_location asked_at = std::source_location::current()) noexcept {
    return timeout_operation<T>({{limit, true, asked_at}}, std::move(child));
}

/// The same for an operation, for whatever else can be awaited, and for a callable that gives it:
/// `co_await timeout(1s, stream.read_some(data))`. Takes a frame, which refers to an operation: it
/// is awaited in the expression that makes it.
template <detail::no_plain_task Work>
[[nodiscard]] auto timeout(time_span limit,
                           Work&& work WEFT_LIFETIMEBOUND,
                           std::source_location asked_at = std::source_location::current()) {
    return timeout(limit, detail::as_task(static_cast<Work&&>(work)), asked_at);
}

/// The same with a point in time. See timeout.
template <detail::plain_value T, class Duration>
[[nodiscard]] timeout_operation<T> with_deadline(
    std::chrono::time_point<clock, Duration> deadline,
    task<T> child,
    std::source_location asked_at = std::source_location::current()) noexcept {
    return timeout_operation<T>({{deadline.time_since_epoch(), false, asked_at}}, std::move(child));
}

template <detail::no_plain_task Work, class Duration>
[[nodiscard]] auto with_deadline(std::chrono::time_point<clock, Duration> deadline,
                                 Work&& work WEFT_LIFETIMEBOUND,
                                 std::source_location asked_at = std::source_location::current()) {
    return with_deadline(deadline, detail::as_task(static_cast<Work&&>(work)), asked_at);
}

}  // namespace weft
