#include <weft/runtime/resilience/rate_limiter.hpp>

namespace weft {

rate_limiter::rate_limiter(rate_limiter_options const& options)
    : longest_wait_(options.longest_wait)
    , queued_(options.queued)
    , schedule_(options) {}

rate_limiter_counters rate_limiter::counters() const noexcept {
    detail::scoped_lock const lock(mutex_);
    return counters_;
}

namespace detail {

rate_turn::rate_turn(rate_limiter& limiter, clock::duration remaining)
    : limiter_(&limiter)
    , wait_(0) {
    clock::time_point const now = policy_now("rate_limiter");
    {
        scoped_lock const lock(limiter.mutex_);
        wait_ = limiter.schedule_.earliest(now) - now;
        bool const waits = wait_ > clock::duration::zero();
        if (!waits || (wait_ <= limiter.longest_wait_ && wait_ < remaining &&
                       limiter.counters_.waiting < limiter.queued_)) {
            start_ = limiter.schedule_.reserve(now);
            limiter.counters_.waiting += waits ? 1 : 0;
            return;
        }
        ++limiter.counters_.rejected;
    }
    throw_rejected(errc::rate_limited, wait_);
}

rate_turn::~rate_turn() {
    if (!begun_) {
        scoped_lock const lock(limiter_->mutex_);
        limiter_->schedule_.cancel(start_);
        ++limiter_->counters_.stopped_waiting;
        --limiter_->counters_.waiting;
    }
}

void rate_turn::begin() noexcept {
    begun_ = true;
    scoped_lock const lock(limiter_->mutex_);
    ++limiter_->counters_.admitted;
    if (wait_ > clock::duration::zero()) {
        ++limiter_->counters_.delayed;
        --limiter_->counters_.waiting;
    }
}

}  // namespace detail

}  // namespace weft
