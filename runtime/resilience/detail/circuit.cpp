#include <weft/runtime/resilience/detail/circuit.hpp>

#include <weft/runtime/base/argument.hpp>

#include <algorithm>
#include <new>

namespace weft::detail {

outcome_window::outcome_window(circuit_breaker_options const& options)
    : step_((options.window_time.nanoseconds() + steps - 1) / steps)
    , cells_most_(options.window_calls)
    , cells_(by_time() ? steps : 1) {}

void outcome_window::replace(cell& old, cell const& fresh) noexcept {
    calls_ = calls_ - old.calls + fresh.calls;
    failures_ = failures_ - old.failures + fresh.failures;
    old = fresh;
}

/// The one that is free, or has waited longest. Where there is no memory for more, the window stays
/// as long as it is.
outcome_window::cell& outcome_window::next_cell() noexcept {
    if (next_ == cells_.size() && next_ < cells_most_) {
        try {
            cells_.emplace_back();
        } catch (std::bad_alloc const&) {
            cells_most_ = next_;
        }
    }
    if (next_ == cells_.size()) {
        next_ = 0;
    }
    return cells_[next_++];
}

void outcome_window::add(bool failed, clock::time_point now) noexcept {
    cell const one{-1, 1, failed ? 1U : 0U};
    if (!by_time()) {
        replace(next_cell(), one);
        return;
    }
    expire(now);
    std::int64_t const step = now.time_since_epoch() / step_;
    cell& current = cells_[static_cast<std::size_t>(step) % steps];
    if (step >= current.step) {  // the clocks of two workers may be read out of order
        replace(current, cell{step, current.calls + one.calls, current.failures + one.failures});
    }
}

void outcome_window::expire(clock::time_point now) noexcept {
    if (by_time()) {
        std::int64_t const oldest = now.time_since_epoch() / step_ - (std::int64_t{steps} - 1);
        for (cell& each : cells_) {
            if (each.step < oldest) {
                replace(each, cell{});
            }
        }
    }
}

void outcome_window::clear() noexcept {
    for (cell& each : cells_) {
        replace(each, cell{});
    }
    next_ = 0;
}

circuit::circuit(circuit_breaker_options const& options) : options_(options), window_(options) {
    check_argument(options.window_calls >= 1 && options.probes >= 1,
                   "a circuit needs a window of at least one call and at least one probe");
    check_argument(options.failure_rate > 0, "a circuit needs a failure rate above 0");
}

void circuit::transition_to(circuit_state next) noexcept {
    state_ = next;
    ++era_;  // keeps I1
    probes_running_ = 0;
    probes_succeeded_ = 0;
    window_.clear();
}

bool circuit::is_too_bad() const noexcept {
    if (options_.failures != 0 && window_.failures() >= options_.failures) {
        return true;
    }
    return window_.calls() >= std::max(1U, options_.minimum_calls) &&
           static_cast<double>(window_.failures()) >=
               options_.failure_rate * static_cast<double>(window_.calls());
}

bool circuit::enter(clock::time_point now, ticket& pass) noexcept {
    if (state_ == circuit_state::open && state(now) == circuit_state::half_open) {
        transition_to(circuit_state::half_open);
    }
    bool const is_probe = state_ == circuit_state::half_open;
    if (is_probe ? probes_running_ + probes_succeeded_ >= options_.probes
                 : state_ != circuit_state::closed) {
        return false;
    }
    probes_running_ += is_probe ? 1 : 0;
    pass = ticket{era_, is_probe};
    return true;
}

void circuit::succeed(ticket const& pass, clock::time_point now) noexcept {
    if (pass.era != era_) {
        return;
    }
    if (!pass.is_probe) {
        window_.add(false, now);
        return;
    }
    --probes_running_;
    if (++probes_succeeded_ == options_.probes) {
        transition_to(circuit_state::closed);
    }
}

bool circuit::fail(ticket const& pass, clock::time_point now) noexcept {
    if (pass.era != era_) {
        return false;
    }
    if (!pass.is_probe) {
        window_.add(true, now);
        if (!is_too_bad()) {
            return false;
        }
    }
    transition_to(circuit_state::open);
    opened_at_ = now;
    return true;
}

void circuit::forget(ticket const& pass) noexcept {
    if (pass.era == era_ && pass.is_probe) {
        --probes_running_;  // keeps I2
    }
}

void circuit::isolate() noexcept {
    transition_to(circuit_state::isolated);
}

void circuit::reset() noexcept {
    transition_to(circuit_state::closed);
}

circuit_state circuit::state(clock::time_point now) const noexcept {
    if (state_ == circuit_state::open && now >= clock::after(opened_at_, options_.open_for)) {
        return circuit_state::half_open;
    }
    return state_;
}

clock::duration circuit::retry_after(clock::time_point now) const noexcept {
    if (state_ != circuit_state::open) {
        return clock::duration::zero();
    }
    return std::max(clock::duration::zero(), clock::after(opened_at_, options_.open_for) - now);
}

}  // namespace weft::detail
