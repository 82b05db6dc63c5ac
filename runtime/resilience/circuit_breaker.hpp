#pragma once

/// Keeps work from a service that fails.

#include <weft/runtime/base/mutex.hpp>
#include <weft/runtime/resilience/detail/attempt.hpp>
#include <weft/runtime/resilience/detail/circuit.hpp>
#include <weft/runtime/resilience/policy.hpp>
#include <weft/runtime/sched/pass_stop.hpp>

#include <cstdint>

namespace weft {

struct circuit_breaker_counters {
    std::uint64_t successes = 0;  ///< values, and errors that do not count
    std::uint64_t failures = 0;
    std::uint64_t rejected = 0;
    std::uint64_t stopped = 0;
    std::uint64_t opened = 0;      ///< times
    unsigned window_calls = 0;     ///< what the window holds
    unsigned window_failures = 0;  ///< failures among them
};

class circuit_breaker;

namespace detail {

/// One call's way through the breaker. A call that is not settled was stopped.
class circuit_pass {
public:
    /// Throws rejected.
    explicit circuit_pass(circuit_breaker& breaker);
    circuit_pass(circuit_pass const&) = delete;
    circuit_pass& operator=(circuit_pass const&) = delete;
    ~circuit_pass();

    /// `error` is null for a success.
    void settle(std::exception_ptr const& error) noexcept;

private:
    circuit_breaker* breaker_;
    circuit::ticket ticket_;
    bool settled_ = false;
};

}  // namespace detail

/// Lets work through while it succeeds, refuses it for a while once it has failed too often, then
/// lets a few probes try.
///
/// Thread safety: every member may be called from any thread at the same time, except the
///     destructor.
/// Cancellation: a stop unwinds the work and the caller; a call that is stopped counts neither as a
///     success nor as a failure, and gives a probe's place back.
/// Lifetime: must outlive its calls. A call keeps the factory.
/// Resumption: where the work ended.
/// Complexity: two locks per call; O(1). The window grows with the calls, up to its size.
/// Errors: `rejected` with errc::circuit_open while open; its cause is the failure that opened the
///     circuit. Else the work's own. std::invalid_argument for options that make no sense.
/// Example: examples/resilient_client.cpp
class circuit_breaker {
public:
    explicit circuit_breaker(circuit_breaker_options const& options = circuit_breaker_options());
    circuit_breaker(circuit_breaker const&) = delete;
    circuit_breaker& operator=(circuit_breaker const&) = delete;
    ~circuit_breaker() = default;

    template <task_factory F>
    [[nodiscard]] task<factory_value_t<F>> run(F factory) {
        co_await detail::checkpoint();
        detail::circuit_pass pass(*this);
        detail::attempt_operation<factory_value_t<F>> work(factory);
        co_await work;
        if (work.was_stopped()) {
            co_await detail::end_as_stopped();
        }
        pass.settle(work.error());
        co_return work.take();
    }

    /// Refuses everything until reset().
    void isolate() noexcept;

    /// Closes the circuit, with an empty window.
    void reset() noexcept;

    /// As a call at `now` would find it.
    [[nodiscard]] circuit_state state(clock::time_point now) const noexcept;

    [[nodiscard]] circuit_breaker_counters counters() const noexcept;

private:
    friend class detail::circuit_pass;

    // --- constant after construction -------------------------------------------
    error_predicate counts_;

    // --- any thread, under mutex_ ------------------------------------------------
    mutable detail::mutex mutex_;
    detail::circuit circuit_;
    std::exception_ptr cause_;  // of the last opening
    circuit_breaker_counters counters_;
};

}  // namespace weft
