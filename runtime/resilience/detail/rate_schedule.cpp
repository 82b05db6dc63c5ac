#include <weft/runtime/resilience/detail/rate_schedule.hpp>

#include <weft/runtime/base/argument.hpp>

#include <algorithm>

namespace weft::detail {

namespace {

/// A time before the clock's beginning is its beginning.
nanoseconds_u64 to_nanoseconds(clock::time_point time) noexcept {
    return time_span(time.time_since_epoch()).nanoseconds();
}

}  // namespace

rate_schedule::rate_schedule(rate_limiter_options const& options)
    : kind_(options.kind)
    , limit_(options.limit)
    , period_(options.period.nanoseconds()) {
    check_argument(options.limit >= 1 && options.period > time_span(),
                   "a rate limit needs at least one call per period, and a period");
    if (kind_ == rate_kind::token_bucket) {
        // Rounded up: rather a little too few than too many.
        interval_ = (period_ + limit_ - 1) / limit_;
        unsigned const burst = options.burst != 0 ? options.burst : options.limit;
        tolerance_ = static_cast<wide>(interval_) * (burst - 1);
    }
}

rate_schedule::wide rate_schedule::earliest_of_bucket(nanoseconds_u64 now,
                                                      std::size_t ahead) const noexcept {
    wide const full_at =
        std::max(full_at_, static_cast<wide>(now)) + static_cast<wide>(interval_) * ahead;
    return full_at > tolerance_ + now ? full_at - tolerance_ : now;
}

/// Call number n, counted from the next one, may start a period after call n - limit, and not
/// before call n - 1.
rate_schedule::wide rate_schedule::earliest_of_window(nanoseconds_u64 now,
                                                      std::size_t ahead) const noexcept {
    std::size_t const rounds = ahead / limit_;
    std::size_t const place = ahead % limit_;
    std::size_t const unused = limit_ - starts_.size();
    wide const start = std::max(now, newest_) + static_cast<wide>(period_) * rounds;
    if (place < unused) {
        return start;
    }
    std::size_t const predecessor = (oldest_ + place - unused) % starts_.size();
    return std::max(start, starts_[predecessor] + static_cast<wide>(period_) * (rounds + 1));
}

clock::time_point rate_schedule::earliest(clock::time_point now, std::size_t ahead) const noexcept {
    nanoseconds_u64 const time = to_nanoseconds(now);
    wide const start = kind_ == rate_kind::token_bucket ? earliest_of_bucket(time, ahead)
                                                        : earliest_of_window(time, ahead);
    return to_time_point(static_cast<nanoseconds_u64>(std::min<wide>(start, no_deadline)));
}

void rate_schedule::start(clock::time_point now) {
    nanoseconds_u64 const time = to_nanoseconds(now);
    if (kind_ == rate_kind::token_bucket) {
        full_at_ = std::max(full_at_, static_cast<wide>(time)) + interval_;
    } else if (starts_.size() < limit_) {
        starts_.push_back(time);
        newest_ = time;
    } else {
        starts_[oldest_] = time;
        oldest_ = (oldest_ + 1) % limit_;
        newest_ = time;
    }
}

}  // namespace weft::detail
