#include <weft/runtime/resilience/rate_schedule.hpp>

#include <weft/runtime/base/argument.hpp>

#include <algorithm>

namespace weft::detail {

namespace {

/// Before every other start, and far enough from the end of the scale to add periods to it.
constexpr clock::time_point long_ago{clock::duration::min() / 2};

}  // namespace

rate_schedule::rate_schedule(rate_options const& options)
    : kind_(options.kind)
    , period_(options.period)
    , interval_(0)
    , tolerance_(0)
    , full_at_(long_ago)
    , left_(long_ago) {
    check_argument(options.limit >= 1 && options.period > clock::duration::zero(),
                   "a rate limit needs at least one call per period, and a period");
    if (kind_ == rate_kind::sliding_window) {
        starts_.assign(options.limit, long_ago);
    } else {
        // Rounded up: rather a little too few than too many.
        interval_ = (period_ + clock::duration(options.limit - 1)) / options.limit;
        unsigned const burst = options.burst != 0 ? options.burst : options.limit;
        tolerance_ = interval_ * (burst - 1);
    }
}

clock::time_point rate_schedule::earliest(clock::time_point now) const noexcept {
    if (kind_ == rate_kind::token_bucket) {
        return std::max(now, full_at_ - tolerance_);
    }
    std::size_t const newest = (oldest_ + starts_.size() - 1) % starts_.size();
    return std::max({now, starts_[oldest_] + period_, starts_[newest]});
}

clock::time_point rate_schedule::reserve(clock::time_point now) noexcept {
    clock::time_point const start = earliest(now);
    if (kind_ == rate_kind::token_bucket) {
        full_at_ = std::max(full_at_, start) + interval_;
    } else {
        left_ = starts_[oldest_];
        starts_[oldest_] = start;
        oldest_ = (oldest_ + 1) % starts_.size();
    }
    return start;
}

void rate_schedule::cancel(clock::time_point start) noexcept {
    if (kind_ == rate_kind::token_bucket) {
        full_at_ -= interval_;
        return;
    }
    for (std::size_t rank = starts_.size(); rank-- != 0;) {
        if (start_at(rank) == start) {
            for (; rank != 0; --rank) {
                start_at(rank) = start_at(rank - 1);
            }
            start_at(0) = left_;
            return;
        }
    }
}

}  // namespace weft::detail
