#pragma once

/// How many second attempts there may be, over all calls.

#include <weft/runtime/base/mutex.hpp>
#include <weft/runtime/resilience/policy.hpp>

#include <cstdint>

namespace weft {

struct retry_budget_options {
    double per_call = 0.2;         ///< second attempts that each call earns
    unsigned per_second = 10;      ///< second attempts that time earns, for callers with few calls
    unsigned saved_up_most = 100;  ///< what is earned beyond it is lost; the budget starts with it
};

struct retry_budget_counters {
    std::uint64_t calls = 0;    ///< that earned
    std::uint64_t granted = 0;  ///< second attempts
    std::uint64_t refused = 0;
};

/// A token bucket that keeps second attempts from multiplying the load on a service that is down:
/// calls and time earn tokens, each second attempt costs one.
///
/// Shared by the retry and hedge policies that go to one service.
///
/// Thread safety: every member may be called from any thread at the same time.
/// Cancellation: never suspends.
/// Lifetime: must outlive the policies that use it.
/// Complexity: O(1), one lock.
/// Errors: std::invalid_argument for options that make no sense.
/// Example: examples/resilient_client.cpp
class retry_budget {
public:
    explicit retry_budget(retry_budget_options const& options = retry_budget_options());

    /// A call was made at `now`.
    void deposit(clock::time_point now) noexcept;

    /// True when a second attempt may start at `now`; it is paid for then.
    [[nodiscard]] bool withdraw(clock::time_point now) noexcept;

    [[nodiscard]] retry_budget_counters counters() const noexcept;

private:
    void earn(std::int64_t thousandths) noexcept;
    void earn_until(clock::time_point now) noexcept;

    // --- constant after construction -------------------------------------------
    std::int64_t per_call_;  // tokens are counted in thousandths
    std::int64_t per_second_;
    std::int64_t most_;

    // --- any thread, under mutex_ ------------------------------------------------
    mutable detail::mutex mutex_;
    std::int64_t saved_;
    bool started_ = false;
    clock::time_point earned_until_{};
    retry_budget_counters counters_;
};

}  // namespace weft
