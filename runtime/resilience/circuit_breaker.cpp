#include <weft/runtime/resilience/circuit_breaker.hpp>

namespace weft {

circuit_breaker::circuit_breaker(circuit_breaker_options const& options)
    : counts_(options.counts)
    , circuit_(options) {}

void circuit_breaker::isolate() noexcept {
    detail::scoped_lock const lock(mutex_);
    circuit_.isolate();
}

void circuit_breaker::reset() noexcept {
    std::exception_ptr freed;  // an error's destructor may be anything: not under the lock
    detail::scoped_lock const lock(mutex_);
    circuit_.reset();
    freed.swap(cause_);
}

circuit_state circuit_breaker::state(clock::time_point now) const noexcept {
    detail::scoped_lock const lock(mutex_);
    return circuit_.state(now);
}

circuit_breaker_counters circuit_breaker::counters() const noexcept {
    detail::scoped_lock const lock(mutex_);
    circuit_breaker_counters seen = counters_;
    seen.window_calls = circuit_.window().calls();
    seen.window_failures = circuit_.window().failures();
    return seen;
}

namespace detail {

circuit_pass::circuit_pass(circuit_breaker& breaker) : breaker_(&breaker) {
    clock::time_point const now = policy_now("circuit_breaker");
    std::exception_ptr cause;
    clock::duration retry_after{};
    {
        scoped_lock const lock(breaker.mutex_);
        if (breaker.circuit_.enter(now, ticket_)) {
            return;
        }
        ++breaker.counters_.rejected;
        cause = breaker.cause_;
        retry_after = breaker.circuit_.retry_after(now);
    }
    throw_rejected(errc::circuit_open, retry_after, cause);
}

circuit_pass::~circuit_pass() {
    if (!settled_) {
        scoped_lock const lock(breaker_->mutex_);
        breaker_->circuit_.forget(ticket_);
        ++breaker_->counters_.stopped;
    }
}

void circuit_pass::settle(std::exception_ptr const& error) noexcept {
    bool const failed = error != nullptr && concerns(breaker_->counts_, error);
    clock::time_point const now = policy_now("circuit_breaker");
    std::exception_ptr cause = error;  // the old one is freed after the lock
    scoped_lock const lock(breaker_->mutex_);
    settled_ = true;
    if (!failed) {
        breaker_->circuit_.succeed(ticket_, now);
        ++breaker_->counters_.successes;
        return;
    }
    ++breaker_->counters_.failures;
    if (breaker_->circuit_.fail(ticket_, now)) {
        ++breaker_->counters_.opened;
        cause.swap(breaker_->cause_);
    }
}

}  // namespace detail

}  // namespace weft
