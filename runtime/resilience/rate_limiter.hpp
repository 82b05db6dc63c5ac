#pragma once

/// Bounds how often work starts.
///
/// Protocol. Calls that have to wait do so in a queue with one permit. Whoever has the permit is
/// the first; it sleeps until the schedule lets the next call start, starts, and passes the permit
/// on.
///   arrival: nobody waits and a call may start now? start
///            : the turn would come too late, or too many wait? refuse : waiting + 1, queue
///   first:   sleep until a call may start → start, waiting - 1 → permit to the next in the queue
///   stop:    waiting - 1; out of the queue, or the permit to the next in it
/// I1 The schedule knows real starts only, so the limit holds whoever gives up, and a place that is
///    given up moves everybody behind it up.
/// I2 Nobody starts past a call that waits: starts are in the order of the calls.

#include <weft/runtime/base/mutex.hpp>
#include <weft/runtime/resilience/detail/permit_queue.hpp>
#include <weft/runtime/resilience/detail/rate_schedule.hpp>
#include <weft/runtime/resilience/policy.hpp>
#include <weft/runtime/sched/pass_stop.hpp>
#include <weft/runtime/scope/this_task.hpp>

#include <cstddef>
#include <cstdint>

namespace weft {

struct rate_limiter_counters {
    std::uint64_t admitted = 0;
    std::uint64_t delayed = 0;  ///< admitted calls that had to wait
    std::uint64_t rejected = 0;
    std::uint64_t stopped_waiting = 0;
    std::size_t waiting = 0;  ///< now
};

class rate_limiter;

namespace detail {

/// One call's way past the limit. Counts itself as stopped when it is destroyed before it began.
class rate_turn {
public:
    /// Begins if the call may start at once. Throws rejected, or std::bad_alloc.
    rate_turn(rate_limiter& limiter, clock::duration remaining);
    rate_turn(rate_turn const&) = delete;
    rate_turn& operator=(rate_turn const&) = delete;
    ~rate_turn();

    [[nodiscard]] bool has_begun() const noexcept { return begun_; }

    /// Requires: the call is the first of those that wait. False when it is too early; due() tells
    /// until when. Throws std::bad_alloc.
    [[nodiscard]] bool try_begin();

    [[nodiscard]] clock::time_point due() const noexcept { return due_; }

private:
    rate_limiter* limiter_;
    clock::time_point due_;
    bool begun_ = false;
};

}  // namespace detail

/// Lets calls start as a token bucket or a sliding window allows; a call that comes too soon waits
/// for its turn, or is refused.
///
/// Thread safety: every member may be called from any thread at the same time, except the
///     destructor.
/// Cancellation: a stop while it waits unwinds a call; those behind it move up.
/// Lifetime: must outlive its calls. A call keeps the factory.
/// Resumption: a call that has waited goes on through the ready queue of its worker.
/// Complexity: one lock per call, five and one timer for a call that waits; O(1). A sliding window
///     remembers its last `limit` starts.
/// Errors: `rejected` with errc::rate_limited for a call whose turn would come later than the
///     longest wait or the caller's deadline, or beyond the queue; else the work's own.
///     std::invalid_argument for options that make no sense.
/// Example: examples/virtual_time.cpp
class rate_limiter {
public:
    explicit rate_limiter(rate_limiter_options const& options = rate_limiter_options());
    rate_limiter(rate_limiter const&) = delete;
    rate_limiter& operator=(rate_limiter const&) = delete;
    ~rate_limiter() = default;

    template <task_factory F>
    [[nodiscard]] task<factory_value_t<F>> run(F factory) {
        co_await detail::checkpoint();
        weft::deadline const limit = co_await this_task::deadline();
        {
            detail::rate_turn turn(*this, limit.remaining());
            if (!turn.has_begun()) {
                [[maybe_unused]] bool const is_first = co_await queue_.acquire();
                WEFT_ASSERT(is_first, "a queue without a bound is full");
                detail::permit_holder const place(queue_);
                while (!turn.try_begin()) {
                    co_await sleep_until(turn.due());
                }
            }
        }
        co_return co_await factory();
    }

    [[nodiscard]] rate_limiter_counters counters() const noexcept;

private:
    friend class detail::rate_turn;

    // --- constant after construction -------------------------------------------
    time_span longest_wait_;
    std::size_t queued_;

    // --- any thread (its own mutex) ------------------------------------------------
    detail::permit_queue queue_;

    // --- any thread, under mutex_ ------------------------------------------------
    mutable detail::mutex mutex_;
    detail::rate_schedule schedule_;
    rate_limiter_counters counters_;
};

}  // namespace weft
