#pragma once

/// Attempts that follow one another until one succeeds.

#include <weft/runtime/resilience/backoff.hpp>
#include <weft/runtime/resilience/detail/attempt.hpp>
#include <weft/runtime/resilience/policy.hpp>
#include <weft/runtime/resilience/retry_budget.hpp>
#include <weft/runtime/sched/pass_stop.hpp>
#include <weft/runtime/scope/this_task.hpp>

#include <concepts>
#include <cstdint>

namespace weft {

struct retry_options {
    unsigned attempts = 3;  ///< the first included; at least 1
    backoff_options pauses = backoff_options();
    error_predicate retries = &any_error;  ///< which errors are worth another attempt
    retry_budget* budget = nullptr;        ///< null: without limit
    random_source* random = nullptr;       ///< null: the process's
};

struct retry_counters {
    std::uint64_t calls = 0;
    std::uint64_t attempts = 0;
    std::uint64_t successes = 0;
    std::uint64_t recoveries = 0;         ///< successes that took more than one attempt
    std::uint64_t exhausted = 0;          ///< calls that failed in their last attempt
    std::uint64_t not_retried = 0;        ///< calls that ended by an error that is not retried
    std::uint64_t refused_by_budget = 0;  ///< calls that ended because the budget was empty
    std::uint64_t out_of_time = 0;        ///< calls whose deadline came before the next attempt
    std::uint64_t stopped = 0;
};

class retry;

namespace detail {

/// One call: decides after each attempt. Counts itself as stopped when it is destroyed undecided.
class retry_progress {
public:
    explicit retry_progress(retry& policy) noexcept;
    retry_progress(retry_progress const&) = delete;
    retry_progress& operator=(retry_progress const&) = delete;
    ~retry_progress();

    void begin_attempt() noexcept;
    void succeed() noexcept;

    /// True when there shall be another attempt, after next_pause(). `remaining` is the time until
    /// the caller's deadline; the longest there is without one.
    [[nodiscard]] bool fail(bool worth_another,
                            clock::time_point now,
                            clock::duration remaining) noexcept;

    [[nodiscard]] clock::duration next_pause() const noexcept { return pause_; }

private:
    void end(std::uint64_t retry_counters::* how) noexcept;

    retry* policy_;
    backoff pauses_;
    clock::duration pause_{};
    unsigned attempts_ = 0;
    bool ended_ = false;
};

}  // namespace detail

/// Runs work again while it fails, with growing, jittered pauses.
///
/// It gives up after the last attempt, after an error that is not worth another, when the budget is
/// empty, and when the next attempt would start after the caller's deadline; then the error of the
/// last attempt is the result.
///
/// Thread safety: every member may be called from any thread at the same time, except the
///     destructor.
/// Cancellation: a stop ends the attempt or the pause and unwinds the caller; no further attempt
///     starts.
/// Lifetime: must outlive its calls; so must the budget and the random source. A call keeps the
///     factory.
/// Resumption: where the last attempt ended.
/// Complexity: one lock and one frame per call, one lock per failed attempt; one timer per pause.
/// Errors: that of the last attempt. std::invalid_argument for options that make no sense.
/// Example: examples/resilient_client.cpp
class retry {
public:
    explicit retry(retry_options const& options = retry_options());
    retry(retry const&) = delete;
    retry& operator=(retry const&) = delete;
    ~retry() = default;

    /// Awaits the tasks that `factory` gives, one at a time, until one succeeds.
    template <task_factory F>
    [[nodiscard]] task<factory_value_t<F>> run(F factory) {
        return run(std::move(factory), options_.retries);
    }

    /// The same with a predicate of this call's own, for one that needs captures.
    template <task_factory F, std::predicate<std::exception_ptr const&> Predicate>
    [[nodiscard]] task<factory_value_t<F>> run(F factory, Predicate retries) {
        detail::retry_progress progress(*this);
        co_await detail::checkpoint();
        for (;;) {
            progress.begin_attempt();
            {
                detail::attempt_operation<factory_value_t<F>> attempt(factory);
                co_await attempt;
                if (attempt.was_stopped()) {
                    co_await detail::end_as_stopped();
                }
                std::exception_ptr const error = attempt.error();
                if (error == nullptr) {
                    progress.succeed();
                    co_return attempt.take();
                }
                weft::deadline const limit = co_await this_task::deadline();
                if (!progress.fail(detail::concerns(retries, error),
                                   detail::policy_now("retry"),
                                   limit.remaining())) {
                    co_return attempt.take();
                }
            }
            co_await sleep_for(progress.next_pause());
        }
    }

    [[nodiscard]] retry_counters counters() const noexcept;

private:
    friend class detail::retry_progress;

    // --- constant after construction -------------------------------------------
    retry_options options_;

    // --- any thread, under mutex_ ------------------------------------------------
    mutable detail::mutex mutex_;
    retry_counters counters_;
};

}  // namespace weft
