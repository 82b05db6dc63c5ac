#pragma once

#include <weft/runtime/base/time_span.hpp>
#include <weft/runtime/sched/driver.hpp>

#include <chrono>

namespace weft {

/// The clock of sleeps, deadlines and policies: the time of the runtime on whose worker it is read,
/// monotonic time elsewhere.
///
/// Under test::runtime it is virtual, so that code which reads it can be tested. What blocking()
/// calls reads the time of the task that waits for the call. Other threads, which belong to no
/// runtime, read CLOCK_MONOTONIC: there a test takes the time from test::runtime::now().
///
/// A std::chrono clock. Its time points are not those of std::chrono::steady_clock, which knows
/// nothing of virtual time; from_steady() and to_steady() lead from one to the other.
///
/// Thread safety: every member may be called from any thread at the same time.
/// Cancellation: never suspends.
/// Lifetime: refers to nothing.
/// Complexity: at most one call of clock_gettime.
/// Errors: none.
/// Example: examples/virtual_time.cpp
class clock {
public:
    using duration = std::chrono::nanoseconds;
    using rep = duration::rep;
    using period = duration::period;
    using time_point = std::chrono::time_point<clock, duration>;

    static constexpr bool is_steady = true;

    [[nodiscard]] static time_point now() noexcept;

    /// `length` after `start`; time_point::max() where that is farther than a time_point reaches.
    [[nodiscard]] static constexpr time_point after(time_point start, time_span length) noexcept {
        rep const since_epoch = start.time_since_epoch().count();
        rep const count = duration(length.nanoseconds()).count();
        return since_epoch < 0 || count < duration::max().count() - since_epoch
                   ? time_point(duration(since_epoch + count))
                   : time_point::max();
    }

    /// As far from now() as the other time is from the now of its own clock: the same number of
    /// nanoseconds, except where this clock is virtual.
    [[nodiscard]] static time_point from_steady(
        std::chrono::steady_clock::time_point time) noexcept;
    [[nodiscard]] static std::chrono::steady_clock::time_point to_steady(time_point time) noexcept;
};

namespace detail {

/// What a driver's clock shows, as a time point; no_deadline is time_point::max().
[[nodiscard]] constexpr clock::time_point to_time_point(nanoseconds_u64 time) noexcept {
    constexpr auto last = static_cast<nanoseconds_u64>(clock::duration::max().count());
    return clock::time_point(clock::duration(time < last ? time : last));
}

/// While it lives, clock::now() tells the time of `source` on this thread, which is no worker.
class borrowed_time {
public:
    explicit borrowed_time(driver const& source) noexcept;
    borrowed_time(borrowed_time const&) = delete;
    borrowed_time& operator=(borrowed_time const&) = delete;
    ~borrowed_time();
};

}  // namespace detail

}  // namespace weft
