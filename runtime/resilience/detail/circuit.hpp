#pragma once

/// The state machine of a circuit breaker, told the time by its caller.
///
/// Protocol
///     closed ── too many failures in the window ──► open ── open_for has passed ──► half open
///       ▲                                            ▲                                 │
///       │                                            └────────── a probe fails ────────┤
///       └──────────────────────── `probes` probes have succeeded ──────────────────────┘
///     isolate() opens it from any state until reset(), which closes it.
///
/// I1 Every transition begins a new era. What a call of an older era came to is ignored: it tells
///    of a service as it was.
/// I2 In the half-open state at most `probes` calls run at once; a probe that is stopped gives its
///    place back, so that no stuck state remains.
///
/// Not thread safe.

#include <weft/runtime/resilience/policy.hpp>
#include <weft/runtime/time/sleep.hpp>

#include <cstdint>
#include <vector>

namespace weft {

enum class circuit_state : std::uint8_t { closed, open, half_open, isolated };

/// How to build a circuit_breaker. The circuit opens when either limit is reached in the window,
/// which holds the last `window_calls` calls or, where `window_time` is not zero, the calls that
/// ended within it.
struct circuit_breaker_options {
    unsigned window_calls = 100;
    time_span window_time = time_span();
    double failure_rate = 0.5;    ///< share of failures, once there are `minimum_calls`
    unsigned minimum_calls = 10;  ///< in the window, before the rate counts
    unsigned failures = 0;        ///< number of failures; 0: no limit
    time_span open_for = std::chrono::seconds(5);
    unsigned probes = 1;  ///< calls at once when half open, and successes that close it
    error_predicate counts = &any_error;  ///< which errors are failures of the service
};

namespace detail {

/// Successes and failures of the last calls, or of the last stretch of time in ten steps.
class outcome_window {
public:
    explicit outcome_window(circuit_breaker_options const& options);

    void add(bool failed, clock::time_point now) noexcept;
    void clear() noexcept;

    /// Drops what is too old at `now`.
    void expire(clock::time_point now) noexcept;

    [[nodiscard]] unsigned calls() const noexcept { return calls_; }

    [[nodiscard]] unsigned failures() const noexcept { return failures_; }

private:
    static constexpr unsigned steps = 10;

    struct cell {
        std::int64_t step = -1;  // by time only
        unsigned calls = 0;
        unsigned failures = 0;
    };

    [[nodiscard]] bool by_time() const noexcept { return step_ != clock::duration::zero(); }

    void replace(cell& old, cell const& fresh) noexcept;
    [[nodiscard]] cell& next_cell() noexcept;

    clock::duration step_;     // zero: by count
    std::size_t cells_most_;   // by count; there are as many as there were calls
    std::vector<cell> cells_;  // a ring
    std::size_t next_ = 0;     // by count only
    unsigned calls_ = 0;
    unsigned failures_ = 0;
};

class circuit {
public:
    /// What a call was let in with.
    struct ticket {
        std::uint64_t era = 0;
        bool is_probe = false;
    };

    explicit circuit(circuit_breaker_options const& options);

    /// True when a call may start; `pass` is then to be given back once, to one of the next three.
    [[nodiscard]] bool enter(clock::time_point now, ticket& pass) noexcept;

    void succeed(ticket const& pass, clock::time_point now) noexcept;

    /// True when this failure opened the circuit.
    bool fail(ticket const& pass, clock::time_point now) noexcept;

    /// The call came to nothing: it was stopped.
    void forget(ticket const& pass) noexcept;

    void isolate() noexcept;
    void reset() noexcept;

    /// As the next call would find it.
    [[nodiscard]] circuit_state state(clock::time_point now) const noexcept;

    /// How long calls are refused at least.
    [[nodiscard]] clock::duration retry_after(clock::time_point now) const noexcept;

    [[nodiscard]] outcome_window const& window() const noexcept { return window_; }

private:
    void transition_to(circuit_state next) noexcept;
    [[nodiscard]] bool is_too_bad() const noexcept;

    circuit_breaker_options options_;
    outcome_window window_;
    circuit_state state_ = circuit_state::closed;
    std::uint64_t era_ = 0;
    clock::time_point opened_at_{};
    unsigned probes_running_ = 0;
    unsigned probes_succeeded_ = 0;
};

}  // namespace detail

}  // namespace weft
