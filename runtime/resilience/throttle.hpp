#pragma once

/// Work that starts at most once per interval; calls in between are skipped.

#include <weft/runtime/base/mutex.hpp>
#include <weft/runtime/resilience/policy.hpp>
#include <weft/runtime/sched/pass_stop.hpp>

#include <cstdint>
#include <type_traits>

namespace weft {

struct throttle_options {
    time_span interval = std::chrono::milliseconds(100);

    /// The last of the calls that came too soon runs when the interval is over.
    bool trailing = false;
};

struct throttle_counters {
    std::uint64_t calls = 0;
    std::uint64_t ran = 0;
    std::uint64_t skipped = 0;
    std::uint64_t stopped = 0;  ///< while they waited
};

namespace detail {

/// The state machine: which of the calls that came may run, and when. Not thread safe.
class interval_gate {
public:
    enum class verdict : std::uint8_t { run, wait, skip };

    struct arrival {
        verdict answer = verdict::skip;
        std::uint64_t number = 0;
        clock::time_point due{};  // of one that waits
    };

    explicit interval_gate(throttle_options const& options) noexcept;

    [[nodiscard]] arrival arrive(clock::time_point now) noexcept;

    /// A call that has waited: true when no other has come since.
    [[nodiscard]] bool claim(arrival const& call, clock::time_point now) noexcept;

private:
    throttle_options options_;
    std::uint64_t last_ = 0;
    bool has_run_ = false;
    clock::time_point ran_at_{};
};

}  // namespace detail

class throttle;

namespace detail {

/// One call's way through the gate.
class throttle_pass {
public:
    explicit throttle_pass(throttle& policy) noexcept;
    throttle_pass(throttle_pass const&) = delete;
    throttle_pass& operator=(throttle_pass const&) = delete;
    ~throttle_pass();

    [[nodiscard]] bool must_wait() const noexcept {
        return call_.answer == interval_gate::verdict::wait;
    }

    [[nodiscard]] clock::time_point due() const noexcept { return call_.due; }

    /// After the wait, if any: whether the call runs.
    [[nodiscard]] bool claim() noexcept;

private:
    throttle* policy_;
    interval_gate::arrival call_;
    bool decided_ = false;
};

}  // namespace detail

/// Runs the first call at once, and skips those that come before the interval is over.
///
/// Thread safety: every member may be called from any thread at the same time, except the
///     destructor.
/// Cancellation: a stop unwinds a call that waits as the trailing one; nothing runs in its stead.
/// Lifetime: must outlive its calls. A call keeps the factory.
/// Resumption: a call that runs at once does not wait before; a trailing one goes on where it
///     waited.
/// Complexity: one or two locks and one frame per call, one timer for a trailing one.
/// Errors: the work's own.
/// Example: examples/virtual_time.cpp
class throttle {
public:
    explicit throttle(throttle_options const& options = throttle_options()) noexcept
        : gate_(options) {}

    throttle(throttle const&) = delete;
    throttle& operator=(throttle const&) = delete;
    ~throttle() = default;

    /// Yields the work's value, or nothing for a call that is skipped.
    template <task_factory F>
        requires(!std::is_reference_v<factory_value_t<F>>)
    [[nodiscard]] task<skippable_t<factory_value_t<F>>> run(F factory) {
        co_await detail::checkpoint();
        using value = factory_value_t<F>;
        {
            detail::throttle_pass pass(*this);
            if (pass.must_wait()) {
                co_await sleep_until(pass.due());
            }
            if (!pass.claim()) {
                co_return skippable_t<value>();
            }
        }
        if constexpr (std::is_void_v<value>) {
            co_await factory();
            co_return true;
        } else {
            co_return co_await factory();
        }
    }

    [[nodiscard]] throttle_counters counters() const noexcept;

private:
    friend class detail::throttle_pass;

    // --- any thread, under mutex_ ------------------------------------------------
    mutable detail::mutex mutex_;
    detail::interval_gate gate_;
    throttle_counters counters_;
};

}  // namespace weft
