#pragma once

/// Rate limits by their definition, however long it takes: what rate_schedule is compared with.

#include <weft/runtime/resilience/detail/rate_schedule.hpp>

#include <algorithm>
#include <cstdint>
#include <vector>

namespace weft::test {

/// Remembers every start there ever was, and asks of each how it limits the next.
class rate_reference {
public:
    rate_reference(rate_kind kind, unsigned limit, clock::duration period, unsigned burst)
        : kind_(kind)
        , limit_(limit)
        , period_(period)
        , burst_(burst != 0 ? burst : limit) {}

    void start(clock::time_point time) { starts_.push_back(time); }

    /// Tries the times at which something changes.
    [[nodiscard]] clock::time_point earliest(clock::time_point now) const {
        std::vector<clock::time_point> candidates{now};
        for (clock::time_point const each : starts_) {
            for (std::uint64_t tokens = 1; tokens <= starts_.size() + 1; ++tokens) {
                candidates.push_back(each + worth(tokens));
            }
            candidates.push_back(each + period_);
        }
        std::ranges::sort(candidates);
        for (clock::time_point const each : candidates) {
            if (each >= now && may_start(each)) {
                return each;
            }
        }
        return clock::time_point::max();
    }

private:
    /// The time in which so many tokens come in.
    [[nodiscard]] clock::duration worth(std::uint64_t tokens) const {
        auto const interval = (period_.count() + limit_ - 1) / limit_;
        return clock::duration(interval * static_cast<clock::rep>(tokens));
    }

    [[nodiscard]] bool may_start(clock::time_point time) const {
        return kind_ == rate_kind::sliding_window ? has_room(time) : has_token(time);
    }

    /// No stretch of a period that ends at `time` holds more than the limit.
    [[nodiscard]] bool has_room(clock::time_point time) const {
        auto const within =
            std::ranges::count_if(starts_, [&](auto each) { return time - each < period_; });
        return within < static_cast<std::ptrdiff_t>(limit_);
    }

    /// The bucket, filled and emptied from the first start on, holds a whole token at `time`.
    [[nodiscard]] bool has_token(clock::time_point time) const {
        clock::duration level = worth(burst_);
        clock::time_point seen = starts_.empty() ? time : starts_.front();
        for (clock::time_point const each : starts_) {
            level = std::min(worth(burst_), level + (each - seen)) - worth(1);
            seen = each;
        }
        return std::min(worth(burst_), level + (time - seen)) >= worth(1);
    }

    rate_kind kind_;
    unsigned limit_;
    clock::duration period_;
    unsigned burst_;
    std::vector<clock::time_point> starts_;
};

}  // namespace weft::test
