#pragma once

/// A number of permits, and a bounded queue of coroutines that wait for one.
///
/// Protocol. Waiting, and being stopped meanwhile, are those of a waiter (wait_list.hpp).
///   admit:    a permit is free? take it : the queue is full? refuse : join the queue
///   release:  somebody waits? grant the permit to the first in the queue : count it as free
///
/// I1 A permit that is given back while somebody waits passes to the first in the queue: nobody
///    overtakes.

#include <weft/runtime/wait/wait_list.hpp>

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
class [[nodiscard]] permit_operation : public waiter {
public:
    explicit permit_operation(permit_queue& queue) noexcept;

    [[nodiscard]] bool await_ready() const noexcept { return false; }

    template <std::derived_from<promise_base> Promise>
    [[nodiscard]] bool await_suspend(std::coroutine_handle<Promise> coroutine) noexcept {
        return begin(coroutine.promise()) || (!spend_budget() && give_way(coroutine.promise()));
    }

    [[nodiscard]] bool await_resume() const noexcept { return !is_refused_; }

private:
    static wait_rules const rules;

    [[nodiscard]] static bool admit(waiter& self) noexcept;
    static void leave_queue(waiter& self, waiter_list& woken) noexcept;

    permit_queue* queue_;
    bool is_refused_ = false;  // under the queue's lock_; the waiter's once it runs
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

    // --- any thread, under lock_ -------------------------------------------------
    mutable wait_lock lock_;
    waiter_list waiting_;
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
