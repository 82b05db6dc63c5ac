#pragma once

/// An operation that a coroutine waits for and that lives on one worker: a timer, or something in
/// the kernel.
///
/// The operation sits in the coroutine's frame. It is started on the worker that runs the
/// coroutine, its *home*, and everything below happens on the home's thread, the stop callback
/// excepted.
///
/// Protocol
///                 begin()                   complete()
///     idle ──────────────────► in flight ───────────────► complete ──► delivered
///       └─ stop already requested ─► delivered as stopped      │
///     stop callback (any thread): posted_ = true;               │ a posted request still
///       home.post(*this)                                        │ travels: delivery waits for it
///     home receives the request: in flight? cancel() : deliver ◄┘
///
/// I1 The coroutine is resumed, and the frame with the operation in it destroyed, only after the
///    operation is complete, the stop callback is withdrawn, and a posted request has come back.
///    Nobody refers to it then.
/// I2 cancel() only asks. The operation completes by itself, with whatever really happened: if it
///    succeeded before the cancellation reached it, the success is delivered.
/// I3 cancel() is called at most once, and only between begin() and complete().
/// I4 Delivery is through the home's ready queue, so a coroutine is never resumed from inside a
///    driver.

#include <weft/runtime/sched/pass_stop.hpp>
#include <weft/runtime/sched/worker.hpp>

namespace weft::detail {

class pinned_operation : private stop_node {
public:
    pinned_operation(pinned_operation const&) = delete;
    pinned_operation& operator=(pinned_operation const&) = delete;

protected:
    using cancel_function = void (*)(pinned_operation&) noexcept;

    explicit pinned_operation(cancel_function cancel) noexcept
        : stop_node(&on_stop)
        , cancel_(cancel) {}

    ~pinned_operation() = default;

    /// Home. The coroutine is suspended and waits for this operation. False when a stop was
    /// requested before: the operation must not start, and refuse() follows.
    [[nodiscard]] bool begin(worker& home, promise_base& waiter) noexcept;

    /// Home, after begin() said no: tells the coroutine that it is stopped. The last access to the
    /// operation.
    void refuse() noexcept;

    /// Home. The operation is over; `stopped` tells that it ended because of the stop and has no
    /// result.
    void complete(bool stopped) noexcept;

    /// Before begin(): the coroutine asked for a result<T>, and is to be told of a stop.
    void tell_when_stopped() noexcept { when_stopped_ = when_stopped::tell; }

    /// Before begin(): the coroutine is to be resumed even when stopped.
    void resume_when_stopped() noexcept { when_stopped_ = when_stopped::resume; }

    /// After delivery: the operation ended by the stop.
    [[nodiscard]] bool was_stopped() const noexcept { return stopped_; }

    [[nodiscard]] worker& home() const noexcept { return *home_; }

private:
    static void on_stop(stop_node& node) noexcept;
    static void on_request(remote_request& request) noexcept;
    void deliver() noexcept;

    // --- home's thread only (the stop callback writes posted_ before it posts) ------
    cancel_function cancel_;
    worker* home_ = nullptr;
    promise_base* waiter_ = nullptr;
    bool posted_ = false;
    bool arrived_ = false;
    bool is_complete_ = false;
    bool stopped_ = false;
    when_stopped when_stopped_ = when_stopped::unwind;
};

}  // namespace weft::detail
