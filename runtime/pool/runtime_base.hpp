#pragma once

#include <weft/runtime/base/mutex.hpp>
#include <weft/runtime/base/time_span.hpp>
#include <weft/runtime/sched/make_ready.hpp>
#include <weft/runtime/sched/thread_event.hpp>
#include <weft/runtime/scope/detail/task_group.hpp>
#include <weft/runtime/scope/join_handle.hpp>
#include <weft/runtime/scope/scope.hpp>
#include <weft/runtime/task/call.hpp>
#include <weft/runtime/values/error.hpp>
#include <weft/runtime/values/error_hook.hpp>

#include <coroutine>
#include <source_location>
#include <utility>

namespace weft {

namespace detail {

/// A foreign thread that waits for the end of one task.
class blocking_wait : public end_hook {
public:
    explicit blocking_wait(context const& parent) noexcept : end_hook(&done), own_context(parent) {}

    blocking_wait(scheduler* home, stop_state* parent) noexcept
        : end_hook(&done)
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
    static std::coroutine_handle<> done(end_hook& base, promise_base&) noexcept {
        static_cast<blocking_wait&>(base).ended.signal();
        return std::noop_coroutine();
    }
};

/// What a foreign thread does in a group, counted as a child. Throws operation_cancelled when the
/// group has ended.
class counted_visit {
public:
    explicit counted_visit(task_group& group) : group_(group) {
        if (!group.count_child()) {
            throw operation_cancelled();
        }
    }

    counted_visit(counted_visit const&) = delete;
    counted_visit& operator=(counted_visit const&) = delete;

    ~counted_visit() { group_.leave(); }

private:
    task_group& group_;
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
/// It ends once: when join() or shutdown() returns every task has ended, and no other will start.
/// So what tasks use may be destroyed then, also where it was declared after the runtime:
///
///     weft::runtime runtime;
///     weft::tcp_listener listener(weft::address::any_v4(8080));
///     runtime.spawn(serve(listener));
///     wait_for_signal();
///     runtime.shutdown(5s);  // before the listener is destroyed
///
/// Thread safety: every member may be called from any thread at the same time, except the
///     destructor; block_on only from threads that are not workers of a runtime.
/// Cancellation: `request_stop` and `shutdown` stop every task under the root scope.
/// Lifetime: the destructor is a shutdown() without a grace, and joins the workers. A task that
///     ignores the stop holds it up. Join, shutdown and destructor abort in a task of the runtime
///     and in a blocking() call of one, which would wait for itself, also where exit() is called
///     there. A child process of fork(2) has none of the workers: a use of the runtime there
///     aborts, its destruction too. The child may exec, _exit, or make a runtime of its own.
/// Complexity: spawn is O(1).
/// Errors: an exception that leaves a spawned task goes to whoever joins it. If nobody does, the
///     runtime's error_hook hears of it when its handle is dropped, or at once if that was before;
///     the other tasks go on.
/// Example: examples/hello.cpp
class runtime_base {
public:
    runtime_base(runtime_base const&) = delete;
    runtime_base& operator=(runtime_base const&) = delete;

    /// Starts a task under the root scope. The handle may be dropped. When the runtime has ended,
    /// the task is destroyed, and its handle says that it was stopped.
    template <detail::plain_value T>
    join_handle<T> spawn(task<T> work) {
        return detail::handle_access::start_or_refuse(std::move(work), {}, root_);
    }

    /// Calls `function(arguments...)`, which gives something to await. The callable and its
    /// arguments are moved or copied into the task, so a lambda with captures is safe here; see
    /// call().
    template <class Function, class... Arguments>
    auto spawn(Function function, Arguments... arguments) {
        return spawn(detail::as_owned_task(std::move(function), std::move(arguments)...));
    }

    /// With a name, which its handle tells.
    template <detail::plain_value T>
    join_handle<T> spawn(named name, task<T> work) {
        return detail::handle_access::start_or_refuse(std::move(work), name.name(), root_);
    }

    template <class Function, class... Arguments>
    auto spawn(named name, Function function, Arguments... arguments) {
        return spawn(name, detail::as_owned_task(std::move(function), std::move(arguments)...));
    }

    /// Runs a task to its end and gives its value or rethrows its error; operation_cancelled when
    /// it was stopped, or the runtime has ended. Blocks the calling thread, which must not be a
    /// worker.
    template <detail::plain_value T>
    T block_on(task<T> work) {
        WEFT_CHECK(detail::current_worker() == nullptr,
                   "block_on is called on a worker, which would wait for itself: co_await instead");
        detail::counted_visit const counted(root_);
        detail::blocking_wait wait(root_.inherited());
        task<T> running(std::move(work));  // dies first: what was stopped still refers to `wait`
        detail::make_ready(wait.prepare(running));
        wait.ended.wait();
        return detail::take_or_throw_cancelled(running);
    }

    /// The same for whatever else can be awaited, and for a callable that gives it, with its
    /// arguments.
    template <detail::no_plain_task Work, class... Arguments>
    decltype(auto) block_on(Work&& work, Arguments&&... arguments) {
        return block_on(
            detail::as_task(static_cast<Work&&>(work), static_cast<Arguments&&>(arguments)...));
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

    /// Waits until every task under the root scope has ended, those that start meanwhile included,
    /// and block_on in other threads. The runtime has ended then. Blocks the calling thread;
    /// several may wait.
    void join() noexcept;

    /// Asks every task to stop, softly first where a grace is given, and waits as join() does. When
    /// the grace is over, it asks for good.
    void shutdown(time_span grace = time_span(),
                  std::source_location at = std::source_location::current()) noexcept;

    /// Tasks under the root scope, those of block_on included; exact when nothing starts or ends.
    [[nodiscard]] std::size_t task_count() const noexcept { return root_.children(); }

    [[nodiscard]] unsigned worker_count() const noexcept { return scheduler_.worker_count(); }

protected:
    runtime_base(unsigned worker_count,
                 detail::driver_factory make_driver,
                 error_hook on_unhandled_error);
    ~runtime_base();

    /// The first act of the destructor of a class whose members tasks may use.
    void end() noexcept;

    [[nodiscard]] detail::scheduler& sched() noexcept { return scheduler_; }

private:
    void require_outsider(char const* act) const noexcept;
    void join_root() noexcept;

    // --- constant after construction -------------------------------------------
    error_hook on_unhandled_error_;

    // --- any thread (their own protocols) ----------------------------------------
    detail::scheduler scheduler_;
    detail::task_group root_;

    // --- any thread, under end_mutex_, which is held while one of them waits ------------
    detail::mutex end_mutex_;
    bool has_ended_ = false;
};

/// Starts a task under the root scope of the runtime that runs the caller. See runtime_base::spawn.
///
/// Thread safety: called in a task that a runtime runs.
/// Cancellation: never suspends; the new task stops when the runtime does, not when the caller
///     does.
/// Lifetime: what the task refers to must outlive it; it may outlive the caller. Prefer a nursery
///     where it should not.
/// Complexity: O(1): one small record besides the task's frame.
/// Errors: see runtime_base.
/// Example: examples/echo_server.cpp
template <detail::plain_value T>
join_handle<T> spawn(task<T> work) {
    return detail::handle_access::start_or_refuse(
        std::move(work), {}, detail::require_worker("spawn").sched().root());
}

/// The same for a callable and its arguments; see runtime_base::spawn.
template <class Function, class... Arguments>
auto spawn(Function function, Arguments... arguments) {
    return spawn(detail::as_owned_task(std::move(function), std::move(arguments)...));
}

/// With a name, which its handle tells.
template <detail::plain_value T>
join_handle<T> spawn(named name, task<T> work) {
    return detail::handle_access::start_or_refuse(
        std::move(work), name.name(), detail::require_worker("spawn").sched().root());
}

template <class Function, class... Arguments>
auto spawn(named name, Function function, Arguments... arguments) {
    return spawn(name, detail::as_owned_task(std::move(function), std::move(arguments)...));
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
template <detail::plain_value T>
T sync_wait(task<T> work) {
    WEFT_CHECK(detail::current_worker() == nullptr,
               "sync_wait is called on a worker, which would wait for itself: co_await instead");
    detail::blocking_wait wait(nullptr, nullptr);
    task<T> running(std::move(work));  // dies first, as in block_on
    detail::run_apart(wait.prepare(running));
    wait.ended.wait();
    return detail::take_or_throw_cancelled(running);
}

/// The same for whatever else can be awaited, and for a callable that gives it, with its arguments.
template <detail::no_plain_task Work, class... Arguments>
decltype(auto) sync_wait(Work&& work, Arguments&&... arguments) {
    return sync_wait(
        detail::as_task(static_cast<Work&&>(work), static_cast<Arguments&&>(arguments)...));
}

}  // namespace weft
