#pragma once

/// A number of permits, and a bounded queue of coroutines that wait for one.
///
/// Protocol. Actors: a waiter's worker, whoever gives a permit back, whoever requests a stop.
///   wait:     enroll with the stop state → lock → a permit is free? take it : the queue is full?
///             refuse : join the queue → unlock
///   release:  lock → somebody waits? take the first out of the queue : count the permit free →
///             unlock → schedule who was taken out
///   stop:     lock → in the queue? take it out → unlock → schedule it as stopped
///
/// I1 Whoever takes a waiter out of the queue, under the lock, owns its coroutine and schedules it
///    as the last access to the operation.
/// I2 A stop that arrives before the waiter has joined the queue leaves `stop_came_` behind, so
///    that it does not join. The callback is withdrawn before the operation is destroyed, which
///    waits for one that is running.
/// I3 A permit that is given back while somebody waits passes to the first in the queue: nobody
///    overtakes. Success wins: a waiter that has got its permit keeps it, whatever stop comes.

#include <weft/runtime/base/intrusive_list.hpp>
#include <weft/runtime/base/mutex.hpp>
#include <weft/runtime/coro/promise.hpp>

#include <concepts>
#include <coroutine>
#include <cstddef>
#include <cstdint>

namespace weft::detail {

class permit_queue;

struct permit_counters {
    std::uint64_t granted = 0;
    std::uint64_t waited = 0;  // before they were granted or stopped
    std::uint64_t refused = 0;
    std::uint64_t stopped = 0;  // while they waited
    std::size_t taken = 0;
    std::size_t waiting = 0;
};

/// Yields true for a permit, false where the queue is full.
class [[nodiscard]] permit_operation : private stop_node,
                                       public intrusive_list_hook<permit_operation> {
public:
    explicit permit_operation(permit_queue& queue) noexcept : stop_node(&on_stop), queue_(&queue) {}

    ~permit_operation() { withdraw(); }

    [[nodiscard]] bool await_ready() const noexcept { return false; }

    template <std::derived_from<promise_base> Promise>
    [[nodiscard]] bool await_suspend(std::coroutine_handle<Promise> waiter) noexcept {
        return begin(waiter.promise());
    }

    [[nodiscard]] bool await_resume() noexcept {
        withdraw();
        return granted_;
    }

private:
    friend class permit_queue;

    /// False when the coroutine goes on at once.
    [[nodiscard]] bool begin(promise_base& waiter) noexcept;
    static void on_stop(stop_node& node) noexcept;

    // --- constant after begin() ----------------------------------------------------
    permit_queue* queue_;
    promise_base* waiter_ = nullptr;

    // --- any thread, under the queue's mutex_; the waiter's once it runs --------------
    bool granted_ = false;
    bool stop_came_ = false;
};

class permit_queue {
public:
    permit_queue(std::size_t permits, std::size_t waiting_most) noexcept
        : permits_(permits)
        , waiting_most_(waiting_most) {}

    permit_queue(permit_queue const&) = delete;
    permit_queue& operator=(permit_queue const&) = delete;
    ~permit_queue();

    [[nodiscard]] permit_operation acquire() noexcept { return permit_operation(*this); }

    /// Any thread.
    void release() noexcept;

    [[nodiscard]] permit_counters counters() const noexcept;

private:
    friend class permit_operation;

    // --- constant after construction -------------------------------------------
    std::size_t permits_;
    std::size_t waiting_most_;

    // --- any thread, under mutex_ ------------------------------------------------
    mutable mutex mutex_;
    intrusive_list<permit_operation> waiting_;
    permit_counters counters_;
};

/// Gives a permit back at the end of its life.
class permit_holder {
public:
    explicit permit_holder(permit_queue& queue) noexcept : queue_(queue) {}

    permit_holder(permit_holder const&) = delete;
    permit_holder& operator=(permit_holder const&) = delete;

    ~permit_holder() { queue_.release(); }

private:
    permit_queue& queue_;
};

}  // namespace weft::detail
