#include <weft/runtime/resilience/hedge.hpp>

#include <weft/runtime/base/argument.hpp>

namespace weft {

hedge::hedge(hedge_options const& options) : options_(options) {
    detail::check_argument(
        options.attempts >= 1 && options.percentile >= 0 && options.percentile <= 1,
        "a hedge needs at least one attempt and a percentile between 0 and 1");
}

hedge_counters hedge::counters() const noexcept {
    detail::scoped_lock const lock(mutex_);
    return counters_;
}

clock::duration hedge::current_delay() const noexcept {
    bool const measured =
        options_.percentile > 0 && latencies_.size() >= options_.samples && latencies_.size() != 0;
    return measured ? latencies_.percentile(options_.percentile)
                    : clock::duration(options_.delay.nanoseconds());
}

namespace detail {

hedge_call::hedge_call(hedge& policy) noexcept : policy_(&policy), delay_(policy.current_delay()) {
    if (policy.options_.budget != nullptr) {
        policy.options_.budget->deposit(policy_now("hedge"));
    }
    scoped_lock const lock(policy.mutex_);
    ++policy.counters_.calls;
}

/// Everybody is joined by now.
hedge_call::~hedge_call() {
    scoped_lock const lock(policy_->mutex_);
    hedge_counters& counters = policy_->counters_;
    counters.attempts += started_;
    if (winner_ == 1) {
        ++counters.won_by_first;
    } else if (winner_ != 0) {
        ++counters.won_by_hedge;
    } else if (error_ != nullptr) {
        ++counters.failed;
    } else {
        ++counters.stopped;
    }
}

/// Requires: mutex_ is held.
bool hedge_call::reserve(unsigned& number) noexcept {
    if (decided_ || !may_start_ || started_ == policy_->options_.attempts) {
        return false;
    }
    number = ++started_;
    ++running_;
    return true;
}

bool hedge_call::pay() noexcept {
    retry_budget* const budget = policy_->options_.budget;
    if (budget == nullptr || budget->withdraw(policy_now("hedge"))) {
        return true;
    }
    scoped_lock const lock(policy_->mutex_);
    ++policy_->counters_.refused_by_budget;
    return false;
}

/// Requires: mutex_ is held.
void hedge_call::give_back() noexcept {
    --started_;
    --running_;
    may_start_ = false;
}

/// Requires: mutex_ is held; nothing more is started by the caller.
hedge_call::after_error hedge_call::conclude() noexcept {
    if (decided_ || running_ != 0) {
        return after_error::wait;
    }
    decided_ = true;  // keeps I1
    error_ = last_error_;
    return after_error::give_up;
}

bool hedge_call::claim(unsigned& number) noexcept {
    {
        scoped_lock const lock(mutex_);
        if (!reserve(number)) {
            return false;
        }
    }
    if (pay()) {
        return true;
    }
    scoped_lock const lock(mutex_);
    give_back();
    (void)conclude();  // whether or not: the pacer ends, and nobody else is left to stop
    return false;
}

bool hedge_call::win(unsigned number, clock::duration latency) noexcept {
    policy_->latencies_.add(latency);
    scoped_lock const lock(mutex_);
    --running_;
    if (decided_) {
        return false;
    }
    decided_ = true;  // keeps I1
    winner_ = number;
    return true;
}

hedge_call::after_error hedge_call::fail(unsigned& number,
                                         std::exception_ptr const& error,
                                         bool is_fatal) noexcept {
    {
        scoped_lock const lock(mutex_);
        --running_;
        last_error_ = error;
        if (is_fatal && !decided_) {
            decided_ = true;  // keeps I1
            error_ = error;
            return after_error::give_up;
        }
        if (!reserve(number)) {
            return conclude();
        }
    }
    if (pay()) {
        return after_error::try_again;
    }
    scoped_lock const lock(mutex_);
    give_back();
    return conclude();
}

}  // namespace detail

}  // namespace weft
