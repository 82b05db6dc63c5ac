#include <weft/runtime/resilience/throttle.hpp>

namespace weft {

throttle_counters throttle::counters() const noexcept {
    detail::scoped_lock const lock(mutex_);
    return counters_;
}

namespace detail {

interval_gate::interval_gate(throttle_options const& options) noexcept : options_(options) {}

interval_gate::arrival interval_gate::arrive(clock::time_point now) noexcept {
    arrival call;
    call.number = ++last_;
    if (!has_run_ || now >= clock::after(ran_at_, options_.interval)) {
        has_run_ = true;
        ran_at_ = now;
        call.answer = verdict::run;
    } else if (options_.trailing) {
        call.answer = verdict::wait;
        call.due = clock::after(ran_at_, options_.interval);
    }
    return call;
}

bool interval_gate::claim(arrival const& call, clock::time_point now) noexcept {
    if (call.number != last_) {
        return false;
    }
    ran_at_ = now;
    return true;
}

throttle_pass::throttle_pass(throttle& policy) noexcept : policy_(&policy) {
    clock::time_point const now = policy_now("throttle");
    scoped_lock const lock(policy.mutex_);
    call_ = policy.gate_.arrive(now);
    ++policy.counters_.calls;
}

throttle_pass::~throttle_pass() {
    if (!decided_) {
        scoped_lock const lock(policy_->mutex_);
        ++policy_->counters_.stopped;
    }
}

bool throttle_pass::claim() noexcept {
    decided_ = true;
    bool runs = call_.answer == interval_gate::verdict::run;
    clock::time_point const now = policy_now("throttle");
    scoped_lock const lock(policy_->mutex_);
    if (call_.answer == interval_gate::verdict::wait) {
        runs = policy_->gate_.claim(call_, now);
    }
    ++(runs ? policy_->counters_.ran : policy_->counters_.skipped);
    return runs;
}

}  // namespace detail

}  // namespace weft
