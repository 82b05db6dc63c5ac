#include <weft/runtime/resilience/debounce.hpp>

#include <weft/runtime/base/argument.hpp>

#include <algorithm>

namespace weft {

debounce_counters debounce::counters() const noexcept {
    detail::scoped_lock const lock(mutex_);
    return counters_;
}

namespace detail {

quiet_gate::quiet_gate(debounce_options const& options) : options_(options) {
    check_argument(options.longest >= options.quiet, "a debounce needs quiet <= longest");
}

quiet_gate::arrival quiet_gate::arrive(clock::time_point now) noexcept {
    if (!in_burst_) {
        in_burst_ = true;
        burst_began_ = now;
    }
    clock::time_point const latest = clock::after(burst_began_, options_.longest);
    return arrival{++last_, std::clamp(latest, now, clock::after(now, options_.quiet))};
}

bool quiet_gate::claim(arrival const& call) noexcept {
    if (call.number != last_) {
        return false;
    }
    in_burst_ = false;
    return true;
}

debounce_wait::debounce_wait(debounce& policy) noexcept : policy_(&policy) {
    clock::time_point const now = policy_now("debounce");
    scoped_lock const lock(policy.mutex_);
    call_ = policy.gate_.arrive(now);
    ++policy.counters_.calls;
}

debounce_wait::~debounce_wait() {
    if (!decided_) {
        scoped_lock const lock(policy_->mutex_);
        (void)policy_->gate_.claim(call_);  // the last of its burst ends it
        ++policy_->counters_.stopped;
    }
}

bool debounce_wait::claim() noexcept {
    decided_ = true;
    scoped_lock const lock(policy_->mutex_);
    bool const runs = policy_->gate_.claim(call_);
    ++(runs ? policy_->counters_.ran : policy_->counters_.superseded);
    return runs;
}

}  // namespace detail

}  // namespace weft
