#pragma once

/// When the next call may start: the arithmetic of rate limits, told the time by its caller.
///
/// A call reserves the earliest start that the limit allows; starts are handed out in the order of
/// the calls. A reservation that is not used can be given back, and then benefits later calls.
///
/// token_bucket:   `burst` calls may start at once, and one more every period / limit. The state is
///                 one time: when the bucket would be full again.
/// sliding_window: no stretch of `period`, wherever it begins, holds more than `limit` starts. The
///                 state is the last `limit` starts.
///
/// Not thread safe.

#include <weft/runtime/sleep.hpp>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace weft {

enum class rate_kind : std::uint8_t { token_bucket, sliding_window };

struct rate_options {
    rate_kind kind = rate_kind::token_bucket;
    unsigned limit = 100;  ///< calls per period; at least 1
    clock::duration period = std::chrono::seconds(1);
    unsigned burst = 0;  ///< token bucket: calls at once after a pause; 0: as `limit`
};

namespace detail {

class rate_schedule {
public:
    explicit rate_schedule(rate_options const& options);

    /// The earliest start for a call that comes at `now`, not before `now`.
    [[nodiscard]] clock::time_point earliest(clock::time_point now) const noexcept;

    /// Takes the start that earliest() gives.
    clock::time_point reserve(clock::time_point now) noexcept;

    /// Gives a reserved start back.
    void cancel(clock::time_point start) noexcept;

private:
    [[nodiscard]] clock::time_point& start_at(std::size_t age_rank) noexcept {
        return starts_[(oldest_ + age_rank) % starts_.size()];
    }

    // --- constant after construction -------------------------------------------
    rate_kind kind_;
    clock::duration period_;
    clock::duration interval_;   // token bucket: from one token to the next
    clock::duration tolerance_;  // token bucket: what `burst` tokens are worth, less one

    // --- state ---------------------------------------------------------------------
    clock::time_point full_at_;              // token bucket
    std::vector<clock::time_point> starts_;  // sliding window: a ring
    std::size_t oldest_ = 0;                 // in starts_
    clock::time_point left_;                 // the start that left the ring last
};

}  // namespace detail

}  // namespace weft
