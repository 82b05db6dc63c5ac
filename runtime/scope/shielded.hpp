#pragma once

/// Work that a stop must not cut short.
///
/// Protocol. The body has a stop state without a parent; the surrounding stop is only heard of. The
/// shield's home is the worker that began it.
///   stop callback (any thread): posted_ = true; the stop request travels to the home
///   stop request (home):        body ended? the parent goes on : arm the timer
///   timer fires (home):         the body is stopped, for the reason of the surrounding stop
///   body ends (any worker):     withdraw the callback. Never posted, no timer? The parent goes on
///                               here. Else at the home, to which an end request travels: when the
///                               stop request has arrived, too, cancel the timer; parent goes on
/// I1 The parent goes on after the callback is withdrawn, a posted request has come back, and the
///    timer is out of the wheel: nobody refers to the shield then.
/// I2 withdraw() returns after a callback that runs elsewhere, so posted_ is stable after it.
/// I3 The stop is passed on only when the body was stopped; otherwise its outcome is delivered and
///    the next await of the surrounding task stops.

#include <weft/runtime/task/call.hpp>
#include <weft/runtime/task/detail/guarded_await.hpp>
#include <weft/runtime/task/task.hpp>
#include <weft/runtime/time/sleep.hpp>

#include <coroutine>
#include <new>
#include <utility>

namespace weft {

namespace detail {

class shield_state : private end_hook, private stop_node, private worker_timer {
public:
    shield_state(promise_base& parent, promise_base& child, time_span limit) noexcept;
    shield_state(shield_state const&) = delete;
    shield_state& operator=(shield_state const&) = delete;

    /// Gives what runs next: the child.
    [[nodiscard]] std::coroutine_handle<> begin() noexcept;

    /// After the body's end: it was stopped, and its frame is gone.
    [[nodiscard]] bool is_child_gone() const noexcept { return is_child_gone_; }

private:
    /// The stop's request is the stop_node; this one is the end's.
    struct end_request : remote_request {
        explicit end_request(shield_state& owner) noexcept
            : remote_request(&on_end_request)
            , self(&owner) {}

        shield_state* self;
    };

    static std::coroutine_handle<> child_done(end_hook& base, promise_base& child) noexcept;
    static void on_stop(stop_node& node) noexcept;
    static void on_stop_request(remote_request& request) noexcept;
    static void on_end_request(remote_request& request) noexcept;
    void end_at_home() noexcept;
    static void fired(worker_timer& timer) noexcept;
    void arm() noexcept;

    // --- constant after construction -------------------------------------------
    stop_context context_;
    ambient_state ambient_;
    worker* home_;
    promise_base* parent_;
    promise_base* child_;
    nanoseconds_u64 limit_;

    // --- stop callback, before it posts; read after withdraw() (I2) -----------------
    bool posted_ = false;

    // --- whoever ends the body; read after its end ------------------------------------
    bool is_child_gone_ = false;

    // --- home's thread only; is_armed_ also where no request was posted ----------------
    bool is_armed_ = false;
    bool arrived_ = false;
    bool child_ended_ = false;

    // --- the child's last worker, then the home --------------------------------------
    end_request end_;
};

/// What shielded() asks for. A stop of the task unwinds whoever awaits it.
struct shield_guard {
    using state = shield_state;
    static constexpr char const* awaited_twice = "a shielded task is awaited twice";

    time_span limit;

    void make(void* at, promise_base& parent, promise_base& child, when_stopped) const noexcept {
        ::new (at) shield_state(parent, child, limit);
    }
};

}  // namespace detail

/// What `co_await shielded(limit, task)` waits in.
template <class T>
using shielded_operation = detail::guarded_await<T, detail::shield_guard>;

/// Runs a task and hides a stop of the surrounding task from it, for at most `limit` after the stop
/// was requested; then the task is stopped after all.
///
/// Thread safety: awaited in a task that a runtime runs.
/// Cancellation: as said. A task that ends within the limit delivers its outcome, and the next
///     await of the surrounding task stops; one that was stopped unwinds the surrounding task.
///     Ambient deadlines are stops: they are hidden, too, and this_task::deadline() is none inside.
/// Lifetime: takes the task over; what it refers to must outlive the await.
/// Resumption: where the task ended, or through the ready queue of the worker that began the wait.
/// Complexity: one stop callback; one timer once a stop arrives. No allocation.
/// Errors: the task's own.
/// Example: examples/graceful_shutdown.cpp
template <detail::plain_value T>
[[nodiscard]] shielded_operation<T> shielded(time_span limit, task<T> child) noexcept {
    return shielded_operation<T>({limit}, std::move(child));
}

/// The same for whatever else can be awaited, and for a callable that gives it; see timeout.
template <detail::no_plain_task Work>
[[nodiscard]] auto shielded(time_span limit, Work&& work WEFT_LIFETIMEBOUND) {
    return shielded(limit, detail::as_task(static_cast<Work&&>(work)));
}

}  // namespace weft
