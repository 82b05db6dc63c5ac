#pragma once

#include <weft/runtime/base/error.hpp>
#include <weft/runtime/join_handle.hpp>
#include <weft/runtime/scope.hpp>
#include <weft/runtime/task_group.hpp>
#include <weft/runtime/thread_event.hpp>

#include <coroutine>
#include <source_location>
#include <utility>

namespace weft {

namespace detail {

/// A foreign thread that waits for the end of one task.
class blocking_wait : public completion {
public:
    explicit blocking_wait(context const& parent) noexcept
        : completion(&done)
        , own_context(parent) {}

    blocking_wait(scheduler* home, stop_state* parent) noexcept
        : completion(&done)
        , own_context(home, parent) {}

    template <class T>
    [[nodiscard]] promise_base& prepare(task<T>& work) noexcept {
        WEFT_CHECK(static_cast<bool>(work), "an empty task is awaited: a task can be awaited once");
        promise_base& promise = task_access::promise(work);
        promise.context_ = &own_context;
        promise.completion_ = this;
        return promise;
    }

    thread_event ended;
    stop_context own_context;

private:
    static std::coroutine_handle<> done(completion& base, promise_base&) noexcept {
        static_cast<blocking_wait&>(base).ended.signal();
        return std::noop_coroutine();
    }
};

/// The result of a finished task for somebody who cannot be unwound.
template <class T>
T take_or_throw_cancelled(task<T>& finished) {
    auto& promise = task_access::promise(finished);
    if (promise.outcome_ == outcome::stopped) {
        throw operation_cancelled();
    }
    return promise.take();
}

}  // namespace detail

/// What every runtime offers, whatever its workers wait in: a pool of workers, and the root scope.
///
/// Thread safety: every member may be called from any thread at the same time, except the
///     destructor; block_on only from threads that are not workers of a runtime.
/// Cancellation: `request_stop` stops every task under the root scope.
/// Lifetime: the destructor requests a stop, waits for every task under the root scope, then joins
///     the workers. A task that ignores the stop holds it up.
/// Complexity: spawn is O(1).
/// Errors: an exception that leaves a spawned task goes to whoever joins it. If nobody does, it is
///     reported on stderr when its handle is dropped, or at once if that was before; the other
///     tasks go on.
/// Example: examples/hello.cpp
class runtime_base {
public:
    runtime_base(runtime_base const&) = delete;
    runtime_base& operator=(runtime_base const&) = delete;

    /// Starts a task under the root scope. The handle may be dropped.
    template <class T>
    join_handle<T> spawn(task<T> work) {
        return detail::handle_access::make(root_.spawn(std::move(work)));
    }

    /// Runs a task to its end and gives its value or rethrows its error; operation_cancelled when
    /// it was stopped. Blocks the calling thread, which must not be a worker.
    template <class T>
    T block_on(task<T> work) {
        WEFT_CHECK(detail::current_worker() == nullptr,
                   "block_on is called on a worker, which would wait for itself: co_await instead");
        detail::blocking_wait wait(root_.inherited());
        task<T> running(std::move(work));  // dies first: what was stopped still refers to `wait`
        scheduler_.inject(wait.prepare(running));
        wait.ended.wait();
        return detail::take_or_throw_cancelled(running);
    }

    /// Asks every task under the root scope to stop. True for the first caller.
    bool request_stop(stop_reason const& reason) noexcept { return root_.request_stop(reason); }

    bool request_stop(std::source_location at = std::source_location::current()) noexcept {
        return request_stop(stop_reason(stop_kind::requested, at));
    }

    /// Asks softly first; see nursery::request_stop.
    bool request_stop(stop_reason const& reason, stop_options options) noexcept {
        return root_.request_stop(reason, options.grace);
    }

    /// Tasks under the root scope; exact when nothing starts or ends.
    [[nodiscard]] std::size_t task_count() const noexcept { return root_.children(); }

    [[nodiscard]] unsigned worker_count() const noexcept { return scheduler_.worker_count(); }

protected:
    runtime_base(unsigned worker_count, detail::driver_factory make_driver);
    ~runtime_base();

    [[nodiscard]] detail::scheduler& sched() noexcept { return scheduler_; }

private:
    detail::scheduler scheduler_;
    detail::task_group root_;
};

/// Starts a task under the root scope of the runtime that runs the caller. The handle may be
/// dropped.
///
/// Thread safety: called in a task that a runtime runs.
/// Cancellation: never suspends; the new task stops when the runtime does, not when the caller
///     does.
/// Lifetime: what the task refers to must outlive it; it may outlive the caller. Prefer a nursery
///     where it should not.
/// Complexity: O(1): one small record besides the task's frame.
/// Errors: see runtime_base.
/// Example: examples/echo_server.cpp
template <class T>
join_handle<T> spawn(task<T> work) {
    return detail::handle_access::make(
        detail::require_worker("spawn").sched().root().spawn(std::move(work)));
}

/// Runs a task on the calling thread until it ends, without a runtime: for tasks that only compute.
///
/// Thread safety: on any thread that is not a worker.
/// Cancellation: none; nobody can request a stop.
/// Lifetime: as for block_on.
/// Complexity: blocks the thread.
/// Errors: rethrows the task's error. An operation that needs a worker (I/O, sleep) aborts with a
///     message.
/// Example: examples/hello.cpp
template <class T>
T sync_wait(task<T> work) {
    WEFT_CHECK(detail::current_worker() == nullptr,
               "sync_wait is called on a worker, which would wait for itself: co_await instead");
    detail::blocking_wait wait(nullptr, nullptr);
    task<T> running(std::move(work));  // dies first, as in block_on
    detail::run_apart(wait.prepare(running));
    wait.ended.wait();
    return detail::take_or_throw_cancelled(running);
}

}  // namespace weft
