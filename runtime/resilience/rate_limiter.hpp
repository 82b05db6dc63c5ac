#pragma once

/// Bounds how often work starts.

#include <weft/runtime/base/mutex.hpp>
#include <weft/runtime/resilience/policy.hpp>
#include <weft/runtime/resilience/rate_schedule.hpp>
#include <weft/runtime/this_task.hpp>

#include <cstddef>
#include <cstdint>

namespace weft {

struct rate_limiter_options : rate_options {
    clock::duration longest_wait = std::chrono::seconds(1);  ///< zero: nobody waits
    std::size_t queued = 1'024;                              ///< calls that may wait
};

struct rate_limiter_counters {
    std::uint64_t admitted = 0;
    std::uint64_t delayed = 0;  ///< admitted calls that had to wait
    std::uint64_t rejected = 0;
    std::uint64_t stopped_waiting = 0;
    std::size_t waiting = 0;  ///< now
};

class rate_limiter;

namespace detail {

/// One call's place in the schedule. A place that is not used is given back.
class rate_turn {
public:
    /// Throws rejected.
    rate_turn(rate_limiter& limiter, clock::duration remaining);
    rate_turn(rate_turn const&) = delete;
    rate_turn& operator=(rate_turn const&) = delete;
    ~rate_turn();

    /// Zero for a call that may start at once.
    [[nodiscard]] clock::duration wait() const noexcept { return wait_; }

    void begin() noexcept;

private:
    rate_limiter* limiter_;
    clock::time_point start_;
    clock::duration wait_;
    bool begun_ = false;
};

}  // namespace detail

/// Lets calls start as a token bucket or a sliding window allows; a call that comes too soon waits
/// for its turn, or is refused.
///
/// Thread safety: every member may be called from any thread at the same time, except the
///     destructor.
/// Cancellation: a stop while it waits unwinds a call; its turn goes to a later one.
/// Lifetime: must outlive its calls. A call keeps the factory.
/// Resumption: a call that has waited goes on through the ready queue of its worker.
/// Complexity: one or two locks per call, one timer for a call that waits; O(1), but O(limit) for
///     the stop of a call that waits for a sliding window.
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
        weft::deadline const limit = co_await this_task::deadline();
        {
            detail::rate_turn turn(*this, limit.remaining());
            if (turn.wait() > clock::duration::zero()) {
                co_await sleep_for(turn.wait());
            }
            turn.begin();
        }
        co_return co_await factory();
    }

    [[nodiscard]] rate_limiter_counters counters() const noexcept;

private:
    friend class detail::rate_turn;

    // --- constant after construction -------------------------------------------
    clock::duration longest_wait_;
    std::size_t queued_;

    // --- any thread, under mutex_ ------------------------------------------------
    mutable detail::mutex mutex_;
    detail::rate_schedule schedule_;
    rate_limiter_counters counters_;
};

}  // namespace weft
