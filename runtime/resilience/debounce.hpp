#pragma once

/// Work that waits until calls stop coming.

#include <weft/runtime/base/mutex.hpp>
#include <weft/runtime/resilience/policy.hpp>

#include <cstdint>
#include <type_traits>

namespace weft {

struct debounce_options {
    time_span quiet = std::chrono::milliseconds(100);  ///< without a call, before the last runs

    /// After this much time the last call runs although others keep coming; max(): never.
    time_span longest = clock::duration::max();
};

struct debounce_counters {
    std::uint64_t calls = 0;
    std::uint64_t ran = 0;
    std::uint64_t superseded = 0;
    std::uint64_t stopped = 0;  ///< while they waited
};

namespace detail {

/// The state machine: which of the calls that came shall run, and when. Not thread safe.
class quiet_gate {
public:
    struct arrival {
        std::uint64_t number = 0;
        clock::time_point due;
    };

    explicit quiet_gate(debounce_options const& options);

    /// The call shall come back at the time that is due.
    [[nodiscard]] arrival arrive(clock::time_point now) noexcept;

    /// True when no other call has come since; then the burst is over.
    [[nodiscard]] bool claim(arrival const& call) noexcept;

private:
    debounce_options options_;
    std::uint64_t last_ = 0;
    bool in_burst_ = false;
    clock::time_point burst_began_{};
};

}  // namespace detail

class debounce;

namespace detail {

/// One call's wait.
class debounce_wait {
public:
    explicit debounce_wait(debounce& policy) noexcept;
    debounce_wait(debounce_wait const&) = delete;
    debounce_wait& operator=(debounce_wait const&) = delete;
    ~debounce_wait();

    [[nodiscard]] clock::time_point due() const noexcept { return call_.due; }

    [[nodiscard]] bool claim() noexcept;

private:
    debounce* policy_;
    quiet_gate::arrival call_;
    bool decided_ = false;
};

}  // namespace detail

/// Runs the last of a burst of calls, once no other has come for a while.
///
/// Every call waits for the quiet period; one that was followed by another yields nothing.
///
/// Thread safety: every member may be called from any thread at the same time, except the
///     destructor.
/// Cancellation: a stop while it waits unwinds a call. When that was the last of its burst, the
///     burst comes to nothing.
/// Lifetime: must outlive its calls. A call keeps the factory.
/// Resumption: on the worker where the call waited.
/// Complexity: two locks, one timer and one frame per call.
/// Errors: the work's own. std::invalid_argument for options that make no sense.
/// Example: examples/virtual_time.cpp
class debounce {
public:
    explicit debounce(debounce_options const& options = debounce_options()) : gate_(options) {}

    debounce(debounce const&) = delete;
    debounce& operator=(debounce const&) = delete;
    ~debounce() = default;

    /// Yields the work's value, or nothing for a call that another one followed.
    template <task_factory F>
        requires(!std::is_reference_v<factory_value_t<F>>)
    [[nodiscard]] task<skippable_t<factory_value_t<F>>> run(F factory) {
        using value = factory_value_t<F>;
        {
            detail::debounce_wait wait(*this);
            co_await sleep_until(wait.due());
            if (!wait.claim()) {
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

    [[nodiscard]] debounce_counters counters() const noexcept;

private:
    friend class detail::debounce_wait;

    // --- any thread, under mutex_ ------------------------------------------------
    mutable detail::mutex mutex_;
    detail::quiet_gate gate_;
    debounce_counters counters_;
};

}  // namespace weft
