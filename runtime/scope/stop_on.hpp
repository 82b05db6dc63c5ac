#pragma once

/// A task that somebody else's stop ends, too.
///
/// Protocol. The child's stop state follows the surrounding one. A callback on the other token
/// passes its stop on to that state, on whatever thread requests it.
/// I1 The callback is withdrawn before the parent goes on; withdraw() waits for one that runs
///    elsewhere, so nobody refers to the state then.
/// I2 Success wins: a child that ends with a value or an error delivers it.
/// I3 A child that was stopped while the surrounding task was not, ended by the token.

#include <weft/runtime/sched/pass_stop.hpp>
#include <weft/runtime/task/call.hpp>
#include <weft/runtime/task/detail/guarded_await.hpp>
#include <weft/runtime/task/task.hpp>
#include <weft/runtime/values/error.hpp>

#include <coroutine>
#include <new>
#include <utility>

namespace weft {

namespace detail {

class foreign_stop_state : private end_hook, private stop_node {
public:
    foreign_stop_state(promise_base& parent,
                       promise_base& child,
                       stop_state* other,
                       when_stopped policy) noexcept;
    foreign_stop_state(foreign_stop_state const&) = delete;
    foreign_stop_state& operator=(foreign_stop_state const&) = delete;

    /// Gives what runs next: the child.
    [[nodiscard]] std::coroutine_handle<> begin() noexcept;

    /// After the child's end: it was stopped, and its frame is gone (guarded_await I2).
    [[nodiscard]] bool is_child_gone() const noexcept { return is_child_gone_; }

private:
    static std::coroutine_handle<> child_done(end_hook& base, promise_base& child) noexcept;
    static void on_other_stop(stop_node& node) noexcept;

    // --- constant after construction -------------------------------------------
    stop_context context_;
    stop_state* other_;
    promise_base* parent_;
    promise_base* child_;
    when_stopped when_stopped_;

    // --- whoever ends the child; read after its end -----------------------------------
    bool is_child_gone_ = false;
};

/// The soft stop of a coroutine's surroundings; its hard one where nobody can ask softly.
[[nodiscard]] stop_state* soft_stop_of(promise_base& promise) noexcept;

/// What with_stop_token() and until_soft_stop() ask for.
struct stop_on_guard {
    using state = foreign_stop_state;
    static constexpr char const* awaited_twice = "a with_stop_token is awaited twice";

    stop_token token = stop_token();
    bool soft = false;  // the surroundings' soft stop instead of the token

    void make(void* at,
              promise_base& parent,
              promise_base& child,
              when_stopped policy) const noexcept {
        ::new (at)
            foreign_stop_state(parent, child, soft ? soft_stop_of(parent) : token.state(), policy);
    }

    [[nodiscard]] static std::errc error_of(foreign_stop_state&) noexcept {
        return std::errc::operation_canceled;
    }

    [[noreturn]] static void throw_stopped() { throw operation_cancelled(); }
};

}  // namespace detail

/// What `co_await with_stop_token(token, task)` and until_soft_stop() wait in; the result form
/// gives a result<T> and hides the stop.
template <class T>
using stop_on_operation = detail::guarded_await<T, detail::stop_on_guard>;

/// Runs a task that ends when a stop is requested through `token`, as well as by the stop of the
/// surrounding task. The task is always waited for.
///
/// Thread safety: awaited in any weft coroutine; the stop may be requested on any thread.
/// Cancellation: a stop of the awaiting task stops the child and unwinds the task; `as_result`
///     gives std::errc::operation_canceled for either stop.
/// Lifetime: takes the task over; the token's source must outlive the await.
/// Resumption: where the task ended.
/// Complexity: one stop callback; no allocation.
/// Errors: operation_cancelled when the token's stop ended the task; else the task's own, which may
///     be an operation_cancelled, too: a join of a child that somebody stopped throws it.
///     `token.stop_requested()` tells.
/// Example: examples/graceful_shutdown.cpp
template <detail::plain_value T>
[[nodiscard]] stop_on_operation<T> with_stop_token(stop_token token, task<T> child) noexcept {
    return stop_on_operation<T>({.token = token}, std::move(child));
}

/// The same for whatever else can be awaited, and for a callable that gives it; see timeout.
template <detail::no_plain_task Work>
[[nodiscard]] auto with_stop_token(stop_token token, Work&& work WEFT_LIFETIMEBOUND) {
    return with_stop_token(token, detail::as_task(static_cast<Work&&>(work)));
}

/// Runs a task that ends at the soft stop already: for what should not be begun any more once a
/// server is asked to finish, as accepting connections. See with_stop_token.
template <detail::plain_value T>
[[nodiscard]] stop_on_operation<T> until_soft_stop(task<T> child) noexcept {
    return stop_on_operation<T>({.soft = true}, std::move(child));
}

template <detail::no_plain_task Work>
[[nodiscard]] auto until_soft_stop(Work&& work WEFT_LIFETIMEBOUND) {
    return until_soft_stop(detail::as_task(static_cast<Work&&>(work)));
}

}  // namespace weft
