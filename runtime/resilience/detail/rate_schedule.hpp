#pragma once

/// When the next call may start: the arithmetic of rate limits, told the time by its caller.
///
/// It knows the starts that have been, and nothing of calls that wait: so a call that gives up
/// leaves no trace.
///
/// token_bucket:   `burst` calls may start at once, and one more every period / limit. The state is
///                 one time: when the bucket would be full again.
/// sliding_window: no stretch of `period`, wherever it begins, holds more than `limit` starts. The
///                 state is the last `limit` starts.
///
/// Not thread safe.

#include <weft/runtime/time/sleep.hpp>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace weft {

enum class rate_kind : std::uint8_t { token_bucket, sliding_window };

/// How to build a rate_limiter.
struct rate_limiter_options {
    rate_kind kind = rate_kind::token_bucket;
    unsigned limit = 100;  ///< calls per period; at least 1
    time_span period = std::chrono::seconds(1);
    unsigned burst = 0;  ///< token bucket: calls at once after a pause; 0: as `limit`

    // --- not the schedule's ----------------------------------------------------
    time_span longest_wait = std::chrono::seconds(1);  ///< zero: nobody waits
    std::size_t queued = 1'024;                        ///< calls that may wait
};

namespace detail {

class rate_schedule {
public:
    explicit rate_schedule(rate_limiter_options const& options);

    /// The earliest start, not before `now`, of a call before which `ahead` others are to start,
    /// each as early as it may.
    [[nodiscard]] clock::time_point earliest(clock::time_point now,
                                             std::size_t ahead = 0) const noexcept;

    /// A call starts. Requires: earliest(now) is `now`. Throws std::bad_alloc.
    void start(clock::time_point now);

private:
    /// Nanoseconds; has room for the longest period times the largest number of calls.
    __extension__ using wide = unsigned __int128;

    [[nodiscard]] wide earliest_of_bucket(nanoseconds_u64 now, std::size_t ahead) const noexcept;
    [[nodiscard]] wide earliest_of_window(nanoseconds_u64 now, std::size_t ahead) const noexcept;

    // --- constant after construction -------------------------------------------
    rate_kind kind_;
    std::size_t limit_;
    nanoseconds_u64 period_;
    nanoseconds_u64 interval_ = 0;  // token bucket: from one token to the next
    wide tolerance_ = 0;            // token bucket: what `burst` tokens are worth, less one

    // --- state ---------------------------------------------------------------------
    wide full_at_ = 0;                     // token bucket
    std::vector<nanoseconds_u64> starts_;  // sliding window: a ring once it has grown to the limit
    std::size_t oldest_ = 0;               // in starts_
    nanoseconds_u64 newest_ = 0;           // sliding window
};

}  // namespace detail

}  // namespace weft
