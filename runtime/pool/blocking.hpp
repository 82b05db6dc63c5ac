#pragma once

/// Calls that block a thread, made on threads of their own.
///
/// Protocol of a visit to the pool. Actors: the coroutine that makes the call, a thread of the
/// pool, the stop callback (any thread). Stages, written under the pool's mutex:
///
///     idle ── start(): a thread waits, or is made ──► visiting: the coroutine runs there
///      │ └─── start(): every thread is busy ──► queued ── a thread takes it ──► visiting
///      │                                          └── stop callback takes it out ──► stopped
///      └── stop callback, or a stop requested before ──────────────────────────────► stopped
///
/// A thread that finds the queue empty waits in its seat, on top of a stack of them. A call takes
/// the seat on top, whose thread has waited for the shortest time, puts the visit there, and wakes
/// that thread: one wake-up for a call, of nobody else, and none while all threads are busy.
///
/// I1 The visit is enrolled with the task's stop state before it is given to anybody, and the
///    callback decides under the mutex: a stop that comes in between finds `idle`, and the visit
///    goes nowhere.
/// I2 Whoever takes a visit out of the queue decides its end. A call that has a thread is never
///    abandoned, so it may use what its task owns.
/// I3 To be queued, or given to a thread, is start()'s last access to the visit; to schedule the
///    coroutine is the callback's.
/// I4 While a seat is in the stack, the queue is empty: both change under the mutex.
/// I5 A thread is woken when the mutex has been given back, so that it does not wait for that
///    first. By then its seat may have been left, or another thread's, and the call be over: seats
///    live as long as the pool, and the destructor waits until nobody is about to wake.
///
/// Rejected: a visit that is a `waiter` of wait_list.hpp. Who has got a thread is resumed there and
/// not made ready, and to make a thread, with the pool's mutex held, may throw.

#include <weft/runtime/base/atomic.hpp>
#include <weft/runtime/base/intrusive_list.hpp>
#include <weft/runtime/base/invoke.hpp>
#include <weft/runtime/base/mutex.hpp>
#include <weft/runtime/base/time_span.hpp>
#include <weft/runtime/sched/driver.hpp>
#include <weft/runtime/scope/this_task.hpp>
#include <weft/runtime/task/detail/settle.hpp>
#include <weft/runtime/task/task.hpp>
#include <weft/runtime/task/task_local.hpp>

#include <chrono>
#include <concepts>
#include <coroutine>
#include <cstddef>
#include <type_traits>
#include <utility>

namespace weft {

class blocking_pool;

namespace detail {

/// Moves the awaiting coroutine to a thread of the pool.
class pool_visit : public intrusive_list_hook<pool_visit>, private stop_node {
public:
    explicit pool_visit(blocking_pool& pool) noexcept : stop_node(&on_stop), pool_(&pool) {}

    pool_visit(pool_visit const&) = delete;
    pool_visit& operator=(pool_visit const&) = delete;

    ~pool_visit() { withdraw(); }

    [[nodiscard]] bool await_ready() const noexcept { return false; }

    template <std::derived_from<promise_base> Promise>
    void await_suspend(std::coroutine_handle<Promise> visitor) {
        start(visitor.promise());
    }

    void await_resume() noexcept { withdraw(); }

private:
    friend class weft::blocking_pool;

    enum class stage : unsigned char { idle, queued, visiting, stopped };

    void start(promise_base& visitor);
    static void on_stop(stop_node& node) noexcept;

    // --- constant after start() ----------------------------------------------------
    blocking_pool* pool_;
    promise_base* visitor_ = nullptr;

    // --- any thread, under the pool's mutex ----------------------------------------
    stage stage_ = stage::idle;
};

/// Moves the awaiting coroutine back to its scheduler.
class pool_return {
public:
    [[nodiscard]] bool await_ready() const noexcept { return false; }

    template <std::derived_from<promise_base> Promise>
    void await_suspend(std::coroutine_handle<Promise> visitor) const noexcept {
        go(visitor.promise());
    }

    void await_resume() const noexcept {}

private:
    static void go(promise_base& visitor) noexcept;
};

/// A call that goes on outside the workers. Lives in the frame of its task, from before the call
/// until the task is back; both ends on workers of one runtime.
class outside_call {
public:
    outside_call() noexcept;

    outside_call(outside_call const&) = delete;
    outside_call& operator=(outside_call const&) = delete;

    ~outside_call() { driver_.end_outside_call(); }

private:
    driver& driver_;
};

/// The value bound to `key` around the task for which this thread makes a call, or null.
[[nodiscard]] void const* find_local_of_call(void const* key) noexcept;

}  // namespace detail

/// How to build a blocking_pool: `weft::blocking_pool pool({.threads_max = 4});`.
struct blocking_pool_options {
    unsigned threads_max = 64;                  ///< at least 1
    time_span idle = std::chrono::seconds(10);  ///< without a call, before a thread ends
};

/// Threads for calls that block.
///
/// Threads are made as they are needed, up to a limit, and end when they have had nothing to do for
/// a while. Beyond the limit calls wait for a thread, first come, first served.
///
/// Thread safety: every member may be called from any thread at the same time, except the
///     destructor.
/// Cancellation: see blocking.
/// Lifetime: must outlive the calls made on it; the destructor joins its threads. shared() lives as
///     long as the process. A child process of fork(2) has none of the threads: there shared() is
///     another pool, and pools that the parent made must not be used.
/// Complexity: a call costs two frames, three passes of a mutex and two context switches; it wakes
///     one thread, or none while all are busy.
/// Errors: std::system_error from a call when there is no thread and none can be made;
///     std::invalid_argument for a pool of 0 threads.
/// Example: examples/task_locals.cpp
class blocking_pool {
public:
    explicit blocking_pool(blocking_pool_options const& options = blocking_pool_options());

    blocking_pool(blocking_pool const&) = delete;
    blocking_pool& operator=(blocking_pool const&) = delete;

    ~blocking_pool();

    /// The pool of `blocking(function)`.
    [[nodiscard]] static blocking_pool& shared();

    struct counters {
        unsigned threads;    ///< that exist
        unsigned idle;       ///< of these, that wait for a call
        std::size_t queued;  ///< calls that wait for a thread
    };

    [[nodiscard]] counters count() noexcept;

private:
    friend class detail::pool_visit;

    /// Where one thread waits for a call.
    struct seat : detail::intrusive_list_hook<seat> {
        detail::condition called;
        detail::pool_visit* visit = nullptr;
    };

    [[nodiscard]] seat* admit(detail::pool_visit& visit);
    [[nodiscard]] seat* make_thread();
    void call(seat& waiting) noexcept;
    void work(seat& own) noexcept;
    [[nodiscard]] detail::pool_visit* next(seat& own) noexcept;
    void wait_in(seat& own) noexcept;

    // --- constant after construction -------------------------------------------
    unsigned threads_max_;
    detail::nanoseconds_u64 idle_time_;

    // --- any thread, under mutex_ ------------------------------------------------
    detail::mutex mutex_;
    detail::condition ended_;  // for the destructor
    detail::intrusive_list<detail::pool_visit> queue_;
    detail::intrusive_list<seat> waiting_;  // a stack: one that waited shortly has warm caches
    detail::intrusive_list<seat> left_;     // of threads that have ended
    std::size_t queued_ = 0;
    unsigned threads_ = 0;
    unsigned idle_ = 0;
    bool closing_ = false;

    // --- any thread, atomic (see Protocol) ---------------------------------------
    /// Written by those who are about to wake a thread, read by the destructor (I5).
    detail::atomic<unsigned> callers_{0};
};

namespace detail {

template <class Function>
concept takes_stop_token = std::is_invocable_v<Function&, stop_token>;

template <class Function>
struct blocking_result : std::invoke_result<Function&> {};

template <takes_stop_token Function>
struct blocking_result<Function> : std::invoke_result<Function&, stop_token> {};

template <class Function>
task<typename blocking_result<Function>::type> call_blocking(Function& function, stop_token token) {
    if constexpr (takes_stop_token<Function>) {
        co_return detail::invoke(function, token);
    } else {
        (void)token;
        co_return function();
    }
}

}  // namespace detail

/// Calls `function()`, or `function(stop_token)`, on a thread of `pool`, so that it may block.
///
/// Thread safety: awaited in a task that a runtime runs; the function runs on another thread, while
///     its task waits.
/// Cancellation: a call that waits for a thread is taken out of the queue by a stop, and its task
///     unwinds. One that has begun is waited for: success wins. A function that takes a stop_token
///     can look at it.
/// Lifetime: keeps the function until the call has ended. What it refers to must live as long.
/// Resumption: on the task's scheduler.
/// Complexity: see blocking_pool.
/// Errors: what the function throws.
/// Example: examples/task_locals.cpp
template <class Function>
    requires std::is_invocable_v<Function&> || detail::takes_stop_token<Function>
[[nodiscard]] task<typename detail::blocking_result<Function>::type> blocking(blocking_pool& pool,
                                                                              Function function) {
    stop_token const token = co_await this_task::stop_token();
    detail::outside_call const begun;
    using value_type = typename detail::blocking_result<Function>::type;
    // Made here: what is thrown on the pool's thread would carry the task on there.
    detail::settle_operation<value_type> called(detail::call_blocking(function, token),
                                                detail::starts::always);
    {
        detail::pool_visit visit(pool);
        co_await visit;
    }
    co_await called;
    co_await detail::pool_return();
    co_return called.take();
}

/// The same on the pool that everybody shares, of 64 threads at most.
template <class Function>
    requires std::is_invocable_v<Function&> || detail::takes_stop_token<Function>
[[nodiscard]] task<typename detail::blocking_result<Function>::type> blocking(Function function) {
    return blocking(blocking_pool::shared(), std::move(function));
}

/// In a function that `blocking` calls: the innermost value that the key has around its task, or
/// null; null on every other thread.
template <class T>
[[nodiscard]] T const* find_in_call(task_local<T> const& key) noexcept {
    return static_cast<T const*>(detail::find_local_of_call(&key));
}

}  // namespace weft
