#include <weft/runtime/resilience/retry.hpp>

#include <weft/runtime/base/argument.hpp>

namespace weft {

retry::retry(retry_options const& options) : options_(options) {
    detail::check_argument(options.attempts >= 1, "a retry policy allows at least one attempt");
    if (options_.random == nullptr) {
        options_.random = &random_source::shared();
    }
    (void)backoff(options_.pauses, *options_.random);  // throws if the pauses make no sense
}

retry_counters retry::counters() const noexcept {
    detail::scoped_lock const lock(mutex_);
    return counters_;
}

namespace detail {

retry_progress::retry_progress(retry& policy) noexcept
    : policy_(&policy)
    , pauses_(policy.options_.pauses, *policy.options_.random) {
    {
        scoped_lock const lock(policy.mutex_);
        ++policy.counters_.calls;
    }
    if (policy.options_.budget != nullptr) {
        policy.options_.budget->deposit(policy_now("retry"));
    }
}

retry_progress::~retry_progress() {
    if (!ended_) {
        end(&retry_counters::stopped);
    }
}

void retry_progress::begin_attempt() noexcept {
    ++attempts_;
}

void retry_progress::end(std::uint64_t retry_counters::* how) noexcept {
    ended_ = true;
    scoped_lock const lock(policy_->mutex_);
    policy_->counters_.attempts += attempts_;
    ++(policy_->counters_.*how);
}

void retry_progress::succeed() noexcept {
    if (attempts_ > 1) {
        scoped_lock const lock(policy_->mutex_);
        ++policy_->counters_.recoveries;
    }
    end(&retry_counters::successes);
}

bool retry_progress::fail(bool worth_another,
                          clock::time_point now,
                          clock::duration remaining) noexcept {
    retry_options const& options = policy_->options_;
    if (!worth_another) {
        end(&retry_counters::not_retried);
        return false;
    }
    if (attempts_ == options.attempts) {
        end(&retry_counters::exhausted);
        return false;
    }
    pause_ = pauses_.next();
    bool const has_deadline = remaining != clock::duration::max();
    if (has_deadline && pause_ >= remaining) {
        end(&retry_counters::out_of_time);
        return false;
    }
    if (options.budget != nullptr && !options.budget->withdraw(now)) {
        end(&retry_counters::refused_by_budget);
        return false;
    }
    return true;
}

}  // namespace detail

}  // namespace weft
