#include <weft/runtime/resilience/rate_limiter.hpp>

namespace weft {

rate_limiter::rate_limiter(rate_limiter_options const& options)
    : longest_wait_(options.longest_wait)
    , queued_(options.queued)
    , queue_(1, ~std::size_t{0})
    , schedule_(options) {}

rate_limiter_counters rate_limiter::counters() const noexcept {
    detail::scoped_lock const lock(mutex_);
    return counters_;
}

namespace detail {

rate_turn::rate_turn(rate_limiter& limiter, clock::duration remaining) : limiter_(&limiter) {
    clock::time_point const now = policy_now("rate_limiter");
    clock::duration wait{};
    {
        scoped_lock const lock(limiter.mutex_);
        rate_limiter_counters& counters = limiter.counters_;
        due_ = limiter.schedule_.earliest(now, counters.waiting);
        wait = due_ - now;
        if (counters.waiting == 0 && wait == clock::duration::zero()) {
            limiter.schedule_.start(now);
            ++counters.admitted;
            begun_ = true;
            return;
        }
        if (wait <= limiter.longest_wait_ && wait < remaining &&
            counters.waiting < limiter.queued_) {
            ++counters.waiting;
            return;
        }
        ++counters.rejected;
    }
    throw_rejected(errc::rate_limited, wait);
}

rate_turn::~rate_turn() {
    if (!begun_) {
        scoped_lock const lock(limiter_->mutex_);
        ++limiter_->counters_.stopped_waiting;
        --limiter_->counters_.waiting;
    }
}

bool rate_turn::try_begin() {
    clock::time_point const now = policy_now("rate_limiter");
    scoped_lock const lock(limiter_->mutex_);
    due_ = limiter_->schedule_.earliest(now);
    if (due_ > now) {
        return false;
    }
    limiter_->schedule_.start(now);
    ++limiter_->counters_.admitted;
    ++limiter_->counters_.delayed;
    --limiter_->counters_.waiting;
    begun_ = true;
    return true;
}

}  // namespace detail

}  // namespace weft
