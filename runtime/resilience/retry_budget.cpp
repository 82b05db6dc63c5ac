#include <weft/runtime/resilience/retry_budget.hpp>

#include <weft/runtime/base/argument.hpp>

#include <algorithm>

namespace weft {

namespace {

constexpr std::int64_t token = 1'000;

std::int64_t thousandths_of(double tokens) {
    detail::check_argument(tokens >= 0 && tokens <= 1'000,
                           "a call earns between 0 and 1000 second attempts");
    return static_cast<std::int64_t>(tokens * static_cast<double>(token));
}

}  // namespace

retry_budget::retry_budget(retry_budget_options const& options)
    : per_call_(thousandths_of(options.per_call))
    , per_second_(std::int64_t{options.per_second} * token)
    , most_(std::int64_t{options.saved_up_most} * token)
    , saved_(most_) {}

void retry_budget::earn(std::int64_t thousandths) noexcept {
    saved_ = std::min(most_, saved_ + thousandths);
}

void retry_budget::earn_until(clock::time_point now) noexcept {
    if (!started_) {
        started_ = true;
        earned_until_ = now;
    }
    if (per_second_ == 0 || now <= earned_until_) {
        return;
    }
    // Only whole thousandths are taken, so that many small steps earn as much as a large one.
    std::int64_t const step = std::max<std::int64_t>(1, 1'000'000'000 / per_second_);
    std::int64_t const elapsed =
        std::chrono::duration_cast<std::chrono::nanoseconds>(now - earned_until_).count();
    std::int64_t const earned = elapsed / step;
    if (earned >= most_) {
        saved_ = most_;
        earned_until_ = now;
    } else {
        earn(earned);
        earned_until_ += std::chrono::nanoseconds(earned * step);
    }
}

void retry_budget::deposit(clock::time_point now) noexcept {
    detail::scoped_lock const lock(mutex_);
    earn_until(now);
    earn(per_call_);
    ++counters_.calls;
}

bool retry_budget::withdraw(clock::time_point now) noexcept {
    detail::scoped_lock const lock(mutex_);
    earn_until(now);
    bool const granted = saved_ >= token;
    if (granted) {
        saved_ -= token;
        ++counters_.granted;
    } else {
        ++counters_.refused;
    }
    return granted;
}

retry_budget_counters retry_budget::counters() const noexcept {
    detail::scoped_lock const lock(mutex_);
    return counters_;
}

}  // namespace weft
