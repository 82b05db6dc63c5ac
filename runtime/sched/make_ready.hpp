#pragma once

/// How a coroutine that waits goes on: the only ways into a queue, and from the end of one
/// coroutine into another.
///
/// Protocol. A suspended coroutine has one owner (promise.hpp I1): the operation it waits for, or
/// who took it out of one. The owner hands it over by exactly one of these calls, which is its last
/// access to the coroutine and to everything in its frame, the operation included: another thread
/// may be running it when the call returns. Where the coroutine runs is its context's business and
/// nobody else's.
///
///   make_ready        from any thread: on the worker that calls, if that is one of the context's,
///                     else behind what else comes from outside
///   make_ready_here   on a worker that the caller knows to be one of the context's: an operation
///                     that lives on one worker, a join that starts children
///   yield_here        the same for a coroutine that gives way, and is the next one but one
///   continue_inline   no queue: the caller, whose coroutine has ended or goes on at once, returns
///                     what this gives to the one that is to run on this thread now
///   worker::push_fork the children of a fork-join, which thieves may take and their parent takes
///                     back (join/detail/fork_join.cpp)
///
/// What happens at the coroutine's turn is in wake_as: it is resumed, unwound, or, where it is no
/// coroutine but a call, its completion is told.

#include <weft/runtime/coro/promise.hpp>
#include <weft/runtime/sched/scheduler.hpp>
#include <weft/runtime/sched/worker.hpp>

#include <coroutine>

namespace weft::detail {

/// Any thread.
inline void make_ready(promise_base& waiter) noexcept {
    waiter.context_->sched->schedule(waiter);
}

/// The same, to be woken as said.
inline void make_ready(promise_base& waiter, wake_as how) noexcept {
    waiter.wake_as_ = how;
    make_ready(waiter);
}

/// On `here`, the current worker.
inline void make_ready_here(worker& here, promise_base& waiter) noexcept {
    here.push_ready(waiter);
}

inline void make_ready_here(worker& here, promise_base& waiter, wake_as how) noexcept {
    waiter.wake_as_ = how;
    make_ready_here(here, waiter);
}

/// On `here`, the current worker: the coroutine waits for nothing, and lets others run first.
inline void yield_here(worker& here, promise_base& waiter, wake_as how = wake_as::resume) noexcept {
    waiter.wake_as_ = how;
    here.push_yielded(waiter);
}

/// On a thread that runs coroutines of the waiter's context. Gives what runs next: the coroutine.
[[nodiscard]] inline std::coroutine_handle<> continue_inline(promise_base& waiter) noexcept {
    return waiter.handle();
}

}  // namespace weft::detail
