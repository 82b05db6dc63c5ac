/// What users write for "never" and "for ever": the longest of any duration, in every call that
/// takes one. And what they write for a part of a second.

#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/resilience/circuit_breaker.hpp>
#include <weft/runtime/resilience/debounce.hpp>
#include <weft/runtime/resilience/hedge.hpp>
#include <weft/runtime/resilience/rate_limiter.hpp>
#include <weft/runtime/resilience/retry.hpp>
#include <weft/runtime/resilience/throttle.hpp>
#include <weft/runtime/resilience/time_limit.hpp>
#include <weft/runtime/scope/cancel_after.hpp>
#include <weft/runtime/scope/finally.hpp>
#include <weft/runtime/scope/scope.hpp>
#include <weft/runtime/scope/shielded.hpp>
#include <weft/runtime/scope/stop_on.hpp>
#include <weft/runtime/task/as_result.hpp>
#include <weft/runtime/testing/test_runtime.hpp>
#include <weft/runtime/time/timeout.hpp>
#include <weft/tests/support/small_tasks.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>

namespace {

using namespace std::chrono_literals;
using weft::task;
using weft::test::runtime;

constexpr auto a_while = 1'000h;

/// Whether `work` has not ended after a while.
task<bool> outlasts_a_while(task<int> work) {
    auto const ended = co_await (weft::timeout(a_while, std::move(work)) | weft::as_result);
    co_return !ended && ended.error() == std::errc::timed_out;
}

task<int> one() {
    return weft::test::value(1);
}

task<int> one_after_a_while() {
    return weft::test::value_after(a_while, 1);
}

task<> nothing_for(weft::time_span length) {
    co_await weft::sleep_for(length);
}

/// The value of a call that a policy may skip; -1 for one that it did.
template <class Policy>
task<int> value_from(Policy& policy) {
    auto const value = co_await policy.run(&one);
    co_return value ? *value : -1;
}

template <class Policy>
task<bool> refuses(Policy& policy) {
    auto const ended = co_await (weft::call([&] { return policy.run(&one); }) | weft::as_result);
    co_return !ended;
}

task<int> sleeps(auto length) {
    co_await weft::sleep_for(length);
    co_return 1;
}

task<int> sleeps_until(auto time) {
    co_await weft::sleep_until(time);
    co_return 1;
}

template <class Longest>
task<> check_sleeps_and_limits(Longest longest) {
    CHECK(co_await outlasts_a_while(sleeps(longest)));
    auto limited = [&]() -> task<int> {
        auto const before = co_await weft::this_task::deadline();
        int const value = co_await weft::timeout(longest, one_after_a_while());
        CHECK(!before);
        co_return value;
    };
    CHECK(co_await limited() == 1);
    weft::time_limit limit(longest);
    CHECK(co_await limit.run(&one_after_a_while) == 1);
    bool cleaned = false;
    auto clean = [&]() -> task<> {
        co_await weft::sleep_for(a_while);
        cleaned = true;
    };
    CHECK(co_await weft::finally(one(), longest, clean) == 1);
    CHECK(std::exchange(cleaned, false));
    auto body = [&](weft::nursery& n) -> task<> {
        n.defer(longest, clean);
        co_return;
    };
    co_await weft::scope(body);
    CHECK(std::exchange(cleaned, false));
    weft::stop_source source;
    weft::cancel_after const later(longest, source);
    co_await weft::sleep_for(a_while);
    CHECK(!source.stop_requested());
}

template <class Longest>
task<> check_stops(Longest longest) {
    bool ended = false;
    auto finishes = [&]() -> task<int> {
        co_await weft::sleep_for(a_while);
        ended = true;
        co_return 1;
    };
    auto body = [&](weft::nursery& n) -> task<> {
        auto sheltered = [&]() -> task<> { (void)co_await weft::shielded(longest, finishes()); };
        n.spawn_without_handle(sheltered());
        co_await weft::yield();
        n.request_stop();
    };
    (void)co_await (weft::call([&] { return weft::scope(body); }) | weft::as_result);
    CHECK(std::exchange(ended, false));
    auto soft = [&](weft::nursery& n) -> task<> {
        (void)n.spawn(finishes());
        n.request_stop("draining", {.grace = longest});
        co_return;
    };
    co_await weft::scope(soft);
    CHECK(std::exchange(ended, false));
}

template <class Longest>
task<> check_gates(Longest longest) {
    weft::throttle throttle({.interval = longest, .trailing = true});
    CHECK(co_await value_from(throttle) == 1);
    CHECK(co_await outlasts_a_while(value_from(throttle)));
    weft::debounce debounce({.quiet = longest});
    CHECK(co_await outlasts_a_while(value_from(debounce)));
    weft::debounce patient({.quiet = 1s, .longest = longest});
    CHECK(co_await value_from(patient) == 1);
    weft::hedge_options hedging;
    hedging.delay = longest;
    weft::hedge hedge(hedging);
    CHECK(co_await hedge.run(&one_after_a_while) == 1);
    CHECK(hedge.counters().attempts == 1);
    weft::retry_options retrying;
    retrying.pauses.first = longest;
    retrying.pauses.longest = longest;
    retrying.pauses.spread = weft::jitter::none;
    weft::retry retry(retrying);
    auto failing = [] { return weft::test::fails("broken"); };
    // Within a deadline it would know that the pause is too long.
    weft::stop_source source;
    weft::cancel_after const later(a_while, source);
    auto const ended =
        co_await (weft::with_stop_token(source.token(), retry.run(failing)) | weft::as_result);
    CHECK(ended.error() == std::errc::operation_canceled);
    CHECK(retry.counters().stopped == 1);
}

template <class Longest>
task<> check_limits_of_rates(Longest longest) {
    for (auto const kind : {weft::rate_kind::token_bucket, weft::rate_kind::sliding_window}) {
        weft::rate_limiter_options options;
        options.kind = kind;
        options.limit = 2;
        options.period = longest;
        weft::rate_limiter limiter(options);
        CHECK(co_await limiter.run(&one) == 1);
        CHECK(co_await limiter.run(&one) == 1);
        CHECK(co_await refuses(limiter));
        co_await weft::sleep_for(a_while);
        CHECK(co_await refuses(limiter));
        options.longest_wait = longest;
        options.limit = 1;
        weft::rate_limiter patient(options);
        CHECK(co_await patient.run(&one) == 1);
        weft::stop_source source;
        weft::cancel_after const later(a_while, source);
        auto const ended =
            co_await (weft::with_stop_token(source.token(), patient.run(&one)) | weft::as_result);
        CHECK(!ended);
    }
}

template <class Longest>
task<> check_circuits(Longest longest) {
    auto failing = [] { return weft::test::fails("broken"); };
    auto fail = [&](weft::circuit_breaker& breaker) -> task<> {
        try {
            (void)co_await breaker.run(failing);
        } catch (std::runtime_error const&) {
        }
    };
    weft::circuit_breaker_options options;
    options.failures = 1;
    options.open_for = longest;
    weft::circuit_breaker breaker(options);
    co_await fail(breaker);
    CHECK(co_await refuses(breaker));
    co_await weft::sleep_for(a_while);
    CHECK(co_await refuses(breaker));
    options.failures = 3;
    options.window_time = longest;
    weft::circuit_breaker slow(options);
    for (int i = 0; i < 3; ++i) {
        CHECK(slow.counters().opened == 0);
        co_await fail(slow);
        co_await weft::sleep_for(a_while);
    }
    CHECK(slow.counters().opened == 1);
}

template <class Longest>
void check_for_ever(char const* name, Longest longest) {
    CAPTURE(name);
    runtime rt;
    rt.block_on(check_sleeps_and_limits(longest));
    rt.block_on(check_stops(longest));
    rt.block_on(check_gates(longest));
    rt.block_on(check_limits_of_rates(longest));
    rt.block_on(check_circuits(longest));
}

template <class Duration>
void check_points_in_time(char const* name) {
    CAPTURE(name);
    using time_point = std::chrono::time_point<weft::clock, Duration>;
    runtime rt;
    auto work = []() -> task<> {
        CHECK(co_await outlasts_a_while(sleeps_until(time_point::max())));
        CHECK(co_await weft::with_deadline(time_point::max(), one_after_a_while()) == 1);
        CHECK(co_await sleeps_until(time_point::min()) == 1);
    };
    rt.block_on(work());
}

}  // namespace

TEST_SUITE("runtime/longest_durations") {
    TEST_CASE("in every call the longest duration of any kind is for ever") {
        check_for_ever("hours", std::chrono::hours::max());
        check_for_ever("milliseconds", std::chrono::milliseconds::max());
        check_for_ever("nanoseconds", std::chrono::nanoseconds::max());
        check_for_ever("an infinite number",
                       std::chrono::duration<double>(std::numeric_limits<double>::infinity()));
        check_for_ever("an unsigned number", std::chrono::duration<std::uint64_t>::max());
    }

    TEST_CASE("the last point in time of any clock's unit never comes, and the first has passed") {
        check_points_in_time<std::chrono::nanoseconds>("nanoseconds");
        check_points_in_time<std::chrono::milliseconds>("milliseconds");
        check_points_in_time<std::chrono::hours>("hours");
        check_points_in_time<std::chrono::duration<double>>("a fraction");
    }

    TEST_CASE("a real worker sleeps for ever without work for the processor, and is woken") {
        weft::thread_pool pool({.workers = 1});
        auto work = []() -> task<int> {
            auto const ended =
                co_await (weft::timeout(5ms, sleeps(std::chrono::hours::max())) | weft::as_result);
            co_return ended ? 0 : 1;
        };
        CHECK(pool.block_on(work()) == 1);
    }

    TEST_CASE("virtual time is not moved past what is for ever") {
        runtime rt;
        auto const start = rt.now();
        rt.spawn(nothing_for(std::chrono::hours::max()));
        rt.spawn(nothing_for(24h * 365 * 100));
        rt.advance(std::chrono::hours::max());
        CHECK(rt.now() > start + 24h * 365 * 100);
        CHECK(rt.task_count() == 1);
        rt.advance(1h);
        CHECK(rt.task_count() == 1);
    }

    TEST_CASE("a fraction of a second is that long in every call") {
        runtime rt;
        auto const rounded = [&](task<> work) {
            auto const start = rt.now();
            rt.block_on(std::move(work));
            return std::chrono::round<std::chrono::milliseconds>(rt.now() - start);
        };
        CHECK(rounded(nothing_for(0.5s)) == 500ms);
        auto limited = []() -> task<> {
            CHECK(!co_await (weft::timeout(0.25s, one_after_a_while()) | weft::as_result));
        };
        CHECK(rounded(limited()) == 250ms);
        auto cleans = []() -> task<> {
            auto both = weft::finally(one(), 0.5s, nothing_for(1h));
            CHECK(!co_await (std::move(both) | weft::as_result));
        };
        CHECK(rounded(cleans()) == 500ms);
        auto defers = []() -> task<> {
            auto body = [](weft::nursery& n) -> task<> {
                n.defer(0.5s, nothing_for(1h));
                co_return;
            };
            auto ended = weft::call([&] { return weft::scope(body); });
            CHECK(!co_await (std::move(ended) | weft::as_result));
        };
        CHECK(rounded(defers()) == 500ms);
        auto stops = []() -> task<> {
            auto body = [](weft::nursery& n) -> task<> {
                (void)n.spawn(one_after_a_while());
                n.request_stop("draining", {.grace = 0.5s});
                co_return;
            };
            co_await weft::scope(body);
        };
        CHECK(rounded(stops()) == 500ms);
    }
}
