#pragma once

/// The policies of runtime/resilience.

#include <weft/runtime/join/when_all.hpp>
#include <weft/runtime/resilience/bulkhead.hpp>
#include <weft/runtime/resilience/circuit_breaker.hpp>
#include <weft/runtime/resilience/debounce.hpp>
#include <weft/runtime/resilience/fallback.hpp>
#include <weft/runtime/resilience/hedge.hpp>
#include <weft/runtime/resilience/pipeline.hpp>
#include <weft/runtime/resilience/rate_limiter.hpp>
#include <weft/runtime/resilience/retry.hpp>
#include <weft/runtime/resilience/single_flight.hpp>
#include <weft/runtime/resilience/throttle.hpp>
#include <weft/runtime/resilience/time_limit.hpp>
#include <weft/tests/support/await_subject.hpp>

#include <chrono>
#include <memory>
#include <span>
#include <system_error>
#include <utility>

namespace weft::test {

namespace subjects {

/// A factory that gives the child once.
inline auto once(cast& c) {
    auto kept = std::make_shared<task<int>>(std::move(c[0]));
    return [kept] { return std::move(*kept); };
}

template <class Policy>
task<> of_policy(cast c) {
    Policy policy;
    auto call = policy.run(once(c));
    (void)co_await std::move(call);
}

inline task<> of_retry(cast c) {
    retry_options options;
    options.attempts = 1;
    retry policy(options);
    auto call = policy.run(once(c));
    co_await std::move(call);
}

inline task<> of_hedge(cast c) {
    hedge_options options;
    options.attempts = 1;
    hedge policy(options);
    auto call = policy.run(once(c));
    co_await std::move(call);
}

inline task<int> fails_too() {
    throw std::system_error(std::make_error_code(std::errc::broken_pipe));
    co_return 0;
}

inline task<> of_fallback(cast c) {
    fallback policy(fails_too);
    auto call = policy.run(once(c));
    co_await std::move(call);
}

inline task<> of_time_limit(cast c) {
    time_limit policy(for_ever);
    auto call = policy.run(once(c));
    co_await std::move(call);
}

inline task<> of_single_flight(cast c) {
    single_flight<int, int> policy;
    auto call = policy.run(1, once(c));
    co_await std::move(call);
}

inline task<> of_debounce(cast c) {
    debounce_options options;
    options.quiet = clock::duration::zero();  // a stop in turn 200 does not come first
    debounce policy(options);
    auto call = policy.run(once(c));
    co_await std::move(call);
}

inline task<> of_pipeline(cast c) {
    retry_options once_only;
    once_only.attempts = 1;
    retry again(once_only);
    circuit_breaker breaker;
    rate_limiter limiter;
    bulkhead room;
    time_limit limit(for_ever);
    pipeline const all(again, breaker, limiter, room, limit);
    auto call = all.run(once(c));
    co_await std::move(call);
}

// --- without children ----------------------------------------------------------------------------

/// Two calls on one policy, of which the second has to wait.
template <class Policy, class Options>
task<> waits_in(Options options) {
    Policy policy(options);
    auto both = when_all(policy.run(sleep_long), policy.run(sleep_long));
    (void)co_await both;
}

inline task<> waits_in_bulkhead(cast) {
    bulkhead_options options;
    options.concurrent = 1;
    return waits_in<bulkhead>(options);
}

inline task<> waits_in_rate_limiter(cast) {
    rate_limiter_options options;
    options.limit = 1;
    options.period = for_ever;
    options.longest_wait = 2 * for_ever;
    return waits_in<rate_limiter>(options);
}

inline task<> waits_in_throttle(cast) {
    throttle_options options;
    options.interval = for_ever;
    options.trailing = true;
    return waits_in<throttle>(options);
}

inline task<> waits_in_debounce(cast) {
    debounce_options options;
    options.quiet = for_ever;
    return waits_in<debounce>(options);
}

inline task<> waits_in_flight(cast) {
    single_flight<int, int> flights;
    auto both = when_all(flights.run(1, sleep_long), flights.run(1, sleep_long));
    (void)co_await both;
}

}  // namespace subjects

/// All of them.
[[nodiscard]] inline std::span<await_subject const> policy_subjects() {
    using namespace subjects;
    using enum await_subject::family;
    static constexpr await_subject list[] = {
        {"retry", all, 1, 1, of_retry},
        {"hedge", all, 1, 1, of_hedge},
        {"fallback", all, 1, 1, of_fallback},
        {"circuit_breaker", all, 1, 1, of_policy<circuit_breaker>},
        {"bulkhead", all, 1, 1, of_policy<bulkhead>},
        {"rate_limiter", all, 1, 1, of_policy<rate_limiter>},
        {"throttle", all, 1, 1, of_policy<throttle>},
        {"time_limit", all, 1, 1, of_time_limit},
        {"single_flight", all, 1, 1, of_single_flight},
        {"debounce", all, 1, 1, of_debounce},
        {"pipeline", all, 1, 1, of_pipeline},
        {"bulkhead, queue", waits, 0, 0, waits_in_bulkhead},
        {"rate_limiter, turn", refuses, 0, 0, waits_in_rate_limiter},
        {"throttle, trailing", waits, 0, 0, waits_in_throttle},
        {"debounce, quiet", waits, 0, 0, waits_in_debounce},
        {"single_flight, shared", waits, 0, 0, waits_in_flight},
    };
    return list;
}

}  // namespace weft::test
