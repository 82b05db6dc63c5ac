/// What a factory throws before there is a task, and what a predicate throws, in every policy.

#include <weft/runtime/resilience/detail/attempt.hpp>

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
#include <weft/runtime/testing/test_runtime.hpp>
#include <weft/tests/support/outcome.hpp>
#include <weft/tests/support/small_tasks.hpp>

#include <doctest/doctest.h>

#include <stdexcept>
#include <string>

namespace {

using weft::task;
using weft::test::outcome_of;
using weft::test::runtime;

/// An ordinary function, as `connect(parse(address))` is.
task<int> connect_to(std::string const& where) {
    if (where.empty()) {
        throw std::runtime_error("no such host");
    }
    return weft::test::value(1);
}

task<int> connect_to_nobody() {
    return connect_to("");
}

template <class Policy>
std::string outcome_through(Policy& policy) {
    runtime rt;
    std::string text = rt.block_on(outcome_of(policy.run(&connect_to_nobody)));
    return text;
}

template <class Policy>
task<int> unwrapped(Policy& policy) {
    auto const value = co_await policy.run(&connect_to_nobody);
    co_return value.value_or(-1);
}

/// Says only what it knows: whatever is no system error goes through it.
bool only_system_errors(std::exception_ptr const& error) {
    try {
        std::rethrow_exception(error);
    } catch (std::system_error const&) {
        return true;
    }
}

constexpr char const* no_such_host = "error no such host";

}  // namespace

TEST_SUITE("runtime/resilience/attempt") {
    TEST_CASE("a circuit breaker opens for factories that throw") {
        weft::circuit_breaker_options options;
        options.failures = 3;
        weft::circuit_breaker breaker(options);
        runtime rt;
        int refused = 0;
        for (int i = 0; i < 10; ++i) {
            auto const text = rt.block_on(outcome_of(breaker.run(&connect_to_nobody)));
            refused += text == no_such_host ? 0 : 1;
        }
        CHECK(refused == 7);
        CHECK(breaker.counters().failures == 3);
        CHECK(breaker.counters().opened == 1);
        CHECK(breaker.counters().stopped == 0);
    }

    TEST_CASE("a fallback goes on behind a factory, or an alternative, that throws") {
        weft::fallback mended(&connect_to_nobody, [] { return weft::test::value(42); });
        CHECK(outcome_through(mended) == "value 42");
        CHECK(mended.counters().alternatives == 2);
        CHECK(mended.counters().recoveries == 1);
        CHECK(mended.counters().stopped == 0);
        weft::fallback broken(&connect_to_nobody);
        CHECK(outcome_through(broken) == no_such_host);
        CHECK(broken.counters().failures == 1);
        CHECK(broken.counters().stopped == 0);
    }

    TEST_CASE("a retry counts factories that throw as attempts that fail") {
        weft::retry retry;
        CHECK(outcome_through(retry) == no_such_host);
        CHECK(retry.counters().attempts == 3);
        CHECK(retry.counters().exhausted == 1);
        CHECK(retry.counters().stopped == 0);
    }

    TEST_CASE("a hedge counts factories that throw as attempts that fail") {
        weft::hedge hedge;
        CHECK(outcome_through(hedge) == no_such_host);
        CHECK(hedge.counters().attempts == 2);
        CHECK(hedge.counters().failed == 1);
        CHECK(hedge.counters().stopped == 0);
    }

    TEST_CASE("the other policies give the error, and what they hold, back") {
        weft::time_limit limit(std::chrono::seconds(1));
        CHECK(outcome_through(limit) == no_such_host);
        CHECK(limit.counters().calls == 1);
        weft::bulkhead_options narrow;
        narrow.concurrent = 1;
        narrow.queued = 0;
        weft::bulkhead bulkhead(narrow);
        CHECK(outcome_through(bulkhead) == no_such_host);
        CHECK(outcome_through(bulkhead) == no_such_host);
        CHECK(bulkhead.counters().running == 0);
        weft::rate_limiter limiter;
        CHECK(outcome_through(limiter) == no_such_host);
        CHECK(limiter.counters().admitted == 1);
        CHECK(limiter.counters().stopped_waiting == 0);
        runtime rt;
        weft::throttle throttle;
        CHECK(rt.block_on(outcome_of(unwrapped(throttle))) == no_such_host);
        CHECK(throttle.counters().ran == 1);
        weft::debounce debounce;
        CHECK(rt.block_on(outcome_of(unwrapped(debounce))) == no_such_host);
        CHECK(debounce.counters().ran == 1);
        weft::single_flight<int, int> flights;
        CHECK(rt.block_on(outcome_of(flights.run(1, &connect_to_nobody))) == no_such_host);
        CHECK(flights.counters().in_flight == 0);
    }

    TEST_CASE("in a pipeline every policy sees what the factory throws") {
        weft::retry retry;
        weft::circuit_breaker breaker;
        weft::time_limit limit(std::chrono::seconds(1));
        weft::pipeline const client(retry, breaker, limit);
        CHECK(outcome_through(client) == no_such_host);
        CHECK(retry.counters().attempts == 3);
        CHECK(breaker.counters().failures == 3);
        CHECK(limit.counters().calls == 3);
    }

    TEST_CASE("a predicate that throws has said no") {
        weft::retry_options retrying;
        retrying.retries = &only_system_errors;
        weft::retry retry(retrying);
        CHECK(outcome_through(retry) == no_such_host);
        CHECK(retry.counters().attempts == 1);
        CHECK(retry.counters().not_retried == 1);
        weft::circuit_breaker_options counting;
        counting.counts = &only_system_errors;
        weft::circuit_breaker breaker(counting);
        CHECK(outcome_through(breaker) == no_such_host);
        CHECK(breaker.counters().successes == 1);
        CHECK(breaker.counters().stopped == 0);
        weft::fallback fallback(&only_system_errors, [] { return weft::test::value(42); });
        CHECK(outcome_through(fallback) == no_such_host);
        CHECK(fallback.counters().not_tried == 1);
        weft::hedge_options hedging;
        hedging.retries = &only_system_errors;
        weft::hedge hedge(hedging);
        CHECK(outcome_through(hedge) == no_such_host);
        CHECK(hedge.counters().failed == 1);
    }
}
