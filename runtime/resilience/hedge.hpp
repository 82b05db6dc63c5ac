#pragma once

/// Attempts that overlap: a second one starts when the first is slow.
///
/// Protocol of a call. Lanes run attempts; a pacer starts lanes. All are children of one scope, and
/// share a hedge_call under its mutex.
///   pacer:  sleep the delay → claim an attempt? start a lane for it : end
///   lane:   run an attempt →
///             value:  first to decide? keep the value, stop everybody : drop it
///             error:  fatal? decide, stop everybody
///                     : claim another attempt? run it at once
///                     : nobody else runs? decide, stop everybody : end
///   claim:  reserve a number, which counts as running → pay the budget, with no lock held →
///           refused? give the number back; who finds nobody else running then decides
/// I1 The call is decided once; what decided it is its result, whatever stop comes meanwhile.
/// I2 The result is kept before the lane ends, and read after the scope has joined every lane.

#include <weft/runtime/resilience/detail/attempt.hpp>
#include <weft/runtime/resilience/detail/kept_value.hpp>
#include <weft/runtime/resilience/detail/latency_window.hpp>
#include <weft/runtime/resilience/policy.hpp>
#include <weft/runtime/resilience/retry_budget.hpp>
#include <weft/runtime/scope/scope.hpp>

#include <cstddef>
#include <cstdint>

namespace weft {

struct hedge_options {
    unsigned attempts = 2;                             ///< the first included; at least 1
    time_span delay = std::chrono::milliseconds(100);  ///< from one attempt to the next

    /// Not zero: the delay is this percentile (0.95, say) of the last successful attempts, as soon
    /// as there are `samples` of them; the window holds 128.
    double percentile = 0;
    std::size_t samples = 20;

    error_predicate retries = &any_error;  ///< errors after which others may still succeed
    retry_budget* budget = nullptr;        ///< null: without limit
};

struct hedge_counters {
    std::uint64_t calls = 0;
    std::uint64_t attempts = 0;
    std::uint64_t won_by_first = 0;
    std::uint64_t won_by_hedge = 0;  ///< by a later attempt
    std::uint64_t failed = 0;
    std::uint64_t stopped = 0;
    std::uint64_t refused_by_budget = 0;  ///< attempts
};

class hedge;

namespace detail {

class hedge_call {
public:
    enum class after_error : std::uint8_t { try_again, wait, give_up };

    explicit hedge_call(hedge& policy) noexcept;
    hedge_call(hedge_call const&) = delete;
    hedge_call& operator=(hedge_call const&) = delete;
    ~hedge_call();

    /// Time from one attempt to the next.
    [[nodiscard]] clock::duration delay() const noexcept { return delay_; }

    /// Pacer. True when another attempt shall start, which `number` then names.
    [[nodiscard]] bool claim(unsigned& number) noexcept;

    /// Lane, with the time its attempt took. True for the first value.
    [[nodiscard]] bool win(unsigned number, clock::duration latency) noexcept;

    /// Lane. After `try_again`, `number` names the next attempt, which is the lane's own.
    [[nodiscard]] after_error fail(unsigned& number,
                                   std::exception_ptr const& error,
                                   bool is_fatal) noexcept;

    // --- after the join -------------------------------------------------------------

    /// The error that decided the call, or null.
    [[nodiscard]] std::exception_ptr const& error() const noexcept { return error_; }

private:
    [[nodiscard]] bool reserve(unsigned& number) noexcept;
    [[nodiscard]] bool pay() noexcept;
    void give_back() noexcept;
    [[nodiscard]] after_error conclude() noexcept;

    // --- constant after construction -------------------------------------------
    hedge* policy_;
    clock::duration delay_;

    // --- any thread, under mutex_ ------------------------------------------------
    mutex mutex_;
    unsigned started_ = 1;
    unsigned running_ = 1;
    bool may_start_ = true;
    bool decided_ = false;
    unsigned winner_ = 0;            // counts from 1; 0: none
    std::exception_ptr last_error_;  // of an attempt
    std::exception_ptr error_;       // of the call
};

}  // namespace detail

/// Runs work, and runs it again beside itself while it is slow; the first success is the result.
///
/// An attempt that fails makes the next one start at once; when none is left, the error of the last
/// to fail is the result. For work that may be done twice without harm.
///
/// Thread safety: every member may be called from any thread at the same time, except the
///     destructor. Attempts of one call run at the same time: what the factory refers to is used
///     by all of them.
/// Cancellation: losers are stopped and waited for. A stop of the caller stops every attempt and
///     unwinds the caller, unless the call is decided: then its result is delivered.
/// Lifetime: must outlive its calls; so must the budget. A call keeps the factory.
/// Resumption: where the last attempt ended.
/// Complexity: a scope, one frame per attempt and one timer per call.
/// Errors: the error of the last attempt to fail, or one that is not to be retried.
///     std::invalid_argument for options that make no sense.
/// Example: examples/hedged_request.cpp
class hedge {
public:
    explicit hedge(hedge_options const& options = hedge_options());
    hedge(hedge const&) = delete;
    hedge& operator=(hedge const&) = delete;
    ~hedge() = default;

    template <task_factory F>
    [[nodiscard]] task<factory_value_t<F>> run(F factory) {
        using value = factory_value_t<F>;
        detail::hedge_call call(*this);
        detail::kept_value<value> winner;
        detail::settle_operation<void> race(compete<value>(options_, call, factory, winner));
        co_await race;
        if (winner) {
            co_return winner.take();
        }
        if (call.error() != nullptr) {
            std::rethrow_exception(call.error());
        }
        if (!race.was_stopped()) {
            race.take();  // throws: there was no memory for an attempt
        }
        for (;;) {
            co_await detail::end_as_stopped();  // and never comes back
        }
    }

    [[nodiscard]] hedge_counters counters() const noexcept;

    /// What the next call waits before its second attempt.
    [[nodiscard]] clock::duration current_delay() const noexcept;

private:
    friend class detail::hedge_call;

    template <class T, class F>
    static task<> compete(hedge_options const& options,
                          detail::hedge_call& call,
                          F& factory,
                          detail::kept_value<T>& winner) {
        auto pace = [&](nursery& lanes) -> task<> {
            (void)lanes.spawn(attempt_in_turn(options, call, factory, winner, lanes, 1));
            unsigned number = 1;
            while (number < options.attempts) {
                co_await sleep_for(call.delay());
                if (!call.claim(number)) {
                    break;
                }
                (void)lanes.spawn(attempt_in_turn(options, call, factory, winner, lanes, number));
            }
        };
        co_await scope(pace);
    }

    template <class T, class F>
    static task<> attempt_in_turn(hedge_options const& options,
                                  detail::hedge_call& call,
                                  F& factory,
                                  detail::kept_value<T>& winner,
                                  nursery& lanes,
                                  unsigned number) {
        using detail::hedge_call;
        for (;;) {
            clock::time_point const began = detail::policy_now("hedge");
            detail::attempt_operation<T> attempt(factory);
            co_await attempt;
            if (attempt.was_stopped()) {
                co_await detail::end_as_stopped();
            }
            std::exception_ptr const error = attempt.error();
            if (error == nullptr) {
                if (call.win(number, detail::policy_now("hedge") - began)) {
                    winner.take_from(attempt);
                    lanes.request_stop();
                }
                co_return;
            }
            auto const next = call.fail(number, error, !detail::concerns(options.retries, error));
            if (next == hedge_call::after_error::give_up) {
                lanes.request_stop();
            }
            if (next != hedge_call::after_error::try_again) {
                co_return;
            }
        }
    }

    // --- constant after construction -------------------------------------------
    hedge_options options_;

    // --- any thread (its own mutex) ------------------------------------------------
    detail::latency_window latencies_;

    // --- any thread, under mutex_ ------------------------------------------------
    mutable detail::mutex mutex_;
    hedge_counters counters_;
};

}  // namespace weft
