#include <weft/runtime/sched/pass_stop.hpp>

#include <weft/runtime/join/all_settled.hpp>
#include <weft/runtime/join/as_completed.hpp>
#include <weft/runtime/join/first_success.hpp>
#include <weft/runtime/join/when_all.hpp>
#include <weft/runtime/join/when_any.hpp>
#include <weft/runtime/resilience/bulkhead.hpp>
#include <weft/runtime/resilience/circuit_breaker.hpp>
#include <weft/runtime/resilience/fallback.hpp>
#include <weft/runtime/resilience/hedge.hpp>
#include <weft/runtime/resilience/rate_limiter.hpp>
#include <weft/runtime/resilience/retry.hpp>
#include <weft/runtime/resilience/single_flight.hpp>
#include <weft/runtime/resilience/throttle.hpp>
#include <weft/runtime/resilience/time_limit.hpp>
#include <weft/runtime/scope/finally.hpp>
#include <weft/runtime/scope/scope.hpp>
#include <weft/runtime/scope/shielded.hpp>
#include <weft/runtime/scope/stop_on.hpp>
#include <weft/runtime/scope/this_task.hpp>
#include <weft/runtime/task/as_result.hpp>
#include <weft/runtime/testing/test_runtime.hpp>
#include <weft/runtime/time/sleep.hpp>
#include <weft/runtime/time/timeout.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <concepts>
#include <system_error>
#include <tuple>
#include <utility>
#include <vector>

// When a task ends that looks at results only.

namespace {

using namespace std::chrono_literals;
using weft::nursery;
using weft::task;

/// Far more than any loop here makes before it ends.
constexpr int rounds_max = 1'000'000;

task<> sleeps() {
    co_await weft::sleep_for(24h);
}

/// Is stopped, and ends as if nothing had been.
task<> swallows() {
    (void)co_await (sleeps() | weft::as_result);
}

task<> ready() {
    co_return;
}

/// Runs `turn` again and again in a task that is stopped after a second, at its first wait, if
/// there is one. How often it began.
template <class Turn>
int turns_under_stop(Turn turn, int& told) {
    weft::test::runtime rt;
    int turns = 0;
    auto loop = [&]() -> task<> {
        while (turns < rounds_max) {
            ++turns;
            using turn_value = decltype(turn());
            if constexpr (std::same_as<turn_value, task<>>) {
                co_await turn();
            } else {
                told += co_await turn() ? 1 : 0;
            }
        }
    };
    auto body = [&](nursery& n) -> task<> {
        n.spawn(loop());
        co_await weft::sleep_for(1s);
        n.request_stop();
    };
    auto all = [&]() -> task<> { co_await weft::scope(body); };
    rt.block_on(all());
    return turns;
}

bool is_canceled(std::error_code code) {
    return code == std::errc::operation_canceled;
}

/// Each is a turn of such a loop, and yields whether it was told of the stop.
struct told_of_task {
    task<bool> operator()() const {
        auto const ended = co_await (sleeps() | weft::as_result);
        co_return is_canceled(ended.error());
    }
};

struct told_of_timeout {
    task<bool> operator()() const {
        auto const ended = co_await (weft::timeout(48h, sleeps()) | weft::as_result);
        co_return is_canceled(ended.error());
    }
};

struct told_of_token {
    task<bool> operator()() const {
        weft::stop_source source;
        auto const ended =
            co_await (weft::with_stop_token(source.token(), sleeps()) | weft::as_result);
        co_return is_canceled(ended.error());
    }
};

struct told_of_scope {
    task<bool> operator()() const {
        auto body = [](nursery&) -> task<> { co_await sleeps(); };
        auto const ended = co_await (weft::scope(body) | weft::as_result);
        co_return is_canceled(ended.error());
    }
};

struct told_of_when_all {
    task<bool> operator()() const {
        auto const ended = co_await (weft::when_all(sleeps(), sleeps()) | weft::as_result);
        co_return is_canceled(ended.error());
    }
};

struct told_of_when_any {
    task<bool> operator()() const {
        auto const ended = co_await (weft::when_any(sleeps(), sleeps()) | weft::as_result);
        co_return is_canceled(ended.error());
    }
};

struct told_of_first_success {
    task<bool> operator()() const {
        auto const ended = co_await (weft::first_success(sleeps(), sleeps()) | weft::as_result);
        co_return is_canceled(ended.error());
    }
};

struct told_of_all_settled {
    task<bool> operator()() const {
        auto const ended = co_await (weft::all_settled(sleeps(), sleeps()) | weft::as_result);
        co_return std::get<0>(*ended).was_stopped();
    }
};

/// Each is a turn that never tells, and hides the stop from the loop.
struct swallowed_in_task {
    task<> operator()() const { (void)co_await (swallows() | weft::as_result); }
};

struct swallowed_in_timeout {
    task<> operator()() const { co_await weft::timeout(48h, swallows()); }
};

struct swallowed_in_scope {
    task<> operator()() const {
        auto body = [](nursery& n) -> task<> {
            n.spawn(swallows());
            co_await swallows();
        };
        co_await weft::scope(body);
    }
};

struct swallowed_under_token {
    task<> operator()() const {
        weft::stop_source source;
        co_await weft::with_stop_token(source.token(), swallows());
    }
};

struct swallowed_in_race {
    task<> operator()() const { (void)co_await weft::when_any(swallows(), swallows()); }
};

struct swallowed_in_join {
    task<> operator()() const { co_await weft::when_all(swallows(), swallows()); }
};

struct swallowed_in_completions {
    task<> operator()() const {
        std::vector<task<>> children;
        children.push_back(swallows());
        auto body = [](weft::completions<void>& ended) -> task<> {
            while (auto each = co_await ended.next()) {
            }
            co_await swallows();
        };
        co_await weft::as_completed(std::move(children), body);
    }
};

template <class Policy>
task<> run_swallowing(Policy& policy) {
    auto const give = [] { return swallows(); };
    using outcome = typename decltype(policy.run(give))::value_type;
    if constexpr (std::is_void_v<outcome>) {
        co_await policy.run(give);
    } else {
        (void)co_await policy.run(give);
    }
}

}  // namespace

TEST_SUITE("runtime/pass_stop") {
    TEST_CASE_TEMPLATE("a loop over results is told of a stop once, and ends",
                       Turn,
                       told_of_task,
                       told_of_timeout,
                       told_of_token,
                       told_of_scope,
                       told_of_when_all,
                       told_of_when_any,
                       told_of_first_success,
                       told_of_all_settled) {
        int told = 0;
        CHECK(turns_under_stop(Turn(), told) == 2);
        CHECK(told == 1);
    }

    TEST_CASE_TEMPLATE("a loop whose turns hide the stop from it ends",
                       Turn,
                       swallowed_in_task,
                       swallowed_in_timeout,
                       swallowed_in_scope,
                       swallowed_under_token,
                       swallowed_in_race,
                       swallowed_in_completions) {
        int told = 0;
        CHECK(turns_under_stop(Turn(), told) <= 3);
    }

    TEST_CASE("a loop over fork-joins whose children hide the stop from it ends") {
        int told = 0;
        CHECK(turns_under_stop(swallowed_in_join(), told) < rounds_max);
    }

    TEST_CASE("a loop over a policy whose work hides the stop from it ends, and nothing is held") {
        int told = 0;
        weft::retry again;
        weft::fallback other_way([] { return ready(); });
        weft::hedge twice;
        weft::time_limit limit(48h);
        weft::circuit_breaker breaker;
        weft::bulkhead permits({.concurrent = 1, .queued = 1});
        weft::rate_limiter often;
        weft::single_flight<int, void> flights;
        CHECK(turns_under_stop([&] { return run_swallowing(again); }, told) <= 3);
        CHECK(turns_under_stop([&] { return run_swallowing(other_way); }, told) <= 3);
        CHECK(turns_under_stop([&] { return run_swallowing(twice); }, told) <= 3);
        CHECK(turns_under_stop([&] { return run_swallowing(limit); }, told) <= 3);
        CHECK(turns_under_stop([&] { return run_swallowing(breaker); }, told) <= 3);
        CHECK(turns_under_stop([&] { return run_swallowing(permits); }, told) <= 3);
        CHECK(turns_under_stop([&] { return run_swallowing(often); }, told) <= 3);
        auto keyed = flights.keyed(1);
        CHECK(turns_under_stop([&] { return run_swallowing(keyed); }, told) <= 3);
        CHECK(permits.counters().running == 0);
        CHECK(flights.counters().in_flight == 0);
    }

    TEST_CASE("a stopped task asks neither a policy's factory nor the body of as_completed") {
        int asked = 0;
        auto factory = [&] {
            ++asked;
            return ready();
        };
        weft::retry again;
        weft::fallback other_way(factory);
        weft::hedge twice;
        weft::time_limit limit(48h);
        weft::circuit_breaker breaker;
        weft::bulkhead permits({.concurrent = 1, .queued = 1});
        weft::rate_limiter often;
        weft::single_flight<int, void> flights;
        weft::throttle seldom;
        auto body = [&](weft::completions<void>&) {
            ++asked;
            return ready();
        };
        auto as_they_come = [&]() -> task<> {
            std::vector<task<>> children;
            children.push_back(ready());
            co_await weft::as_completed(std::move(children), body);
        };
        auto throttled = [&]() -> task<> { (void)co_await seldom.run(factory); };
        weft::stop_source stopped;
        stopped.request_stop();
        weft::test::runtime rt;
        auto const try_one = [&](task<> work) {
            auto whole = [&]() -> task<bool> {
                auto under = weft::with_stop_token(stopped.token(), std::move(work));
                auto const seen = co_await (std::move(under) | weft::as_result);
                co_return seen.has_value();
            };
            CHECK_FALSE(rt.block_on(whole()));
        };
        try_one(again.run(factory));
        try_one(other_way.run(factory));
        try_one(twice.run(factory));
        try_one(limit.run(factory));
        try_one(breaker.run(factory));
        try_one(permits.run(factory));
        try_one(often.run(factory));
        try_one(flights.run(1, factory));
        try_one(throttled());
        try_one(as_they_come());
        CHECK(asked == 0);
        CHECK(permits.counters().running == 0);
    }

    TEST_CASE("a task that awaits plainly is told once together with its awaiter") {
        weft::test::runtime rt;
        int told = 0;
        bool went_on = false;
        auto inner = [&]() -> task<> {
            told += is_canceled((co_await (sleeps() | weft::as_result)).error()) ? 1 : 0;
        };
        auto outer = [&]() -> task<> {
            co_await inner();
            co_await inner();
            went_on = true;
        };
        auto body = [&](nursery& n) -> task<> {
            n.spawn(outer());
            co_await weft::sleep_for(1s);
            n.request_stop();
        };
        auto all = [&]() -> task<> { co_await weft::scope(body); };
        rt.block_on(all());
        CHECK(told == 1);
        CHECK(!went_on);
    }

    TEST_CASE("who handles the stop of a task that was told is told itself") {
        weft::test::runtime rt;
        int told = 0;
        auto inner = [&]() -> task<> {
            (void)co_await (sleeps() | weft::as_result);
            co_await sleeps();
        };
        auto outer = [&]() -> task<> {
            told += is_canceled((co_await (inner() | weft::as_result)).error()) ? 1 : 0;
        };
        auto body = [&](nursery& n) -> task<> {
            n.spawn(outer());
            co_await weft::sleep_for(1s);
            n.request_stop();
        };
        auto all = [&]() -> task<> { co_await weft::scope(body); };
        rt.block_on(all());
        CHECK(told == 1);
    }

    TEST_CASE(
        "what is awaited in a clean-up or a shield begins on a stopped task, and is not told") {
        weft::test::runtime rt;
        int cleaned = 0;
        auto cleans = [&]() -> task<> {
            for (int i = 0; i < 3; ++i) {
                auto const slept = co_await (weft::timeout(1h, ready()) | weft::as_result);
                cleaned += slept ? 1 : 0;
            }
        };
        auto work = [&]() -> task<> {
            auto inside = [&](nursery& n) -> task<> {
                n.defer(1h, cleans());
                co_await sleeps();
            };
            (void)co_await (weft::scope(inside) | weft::as_result);
            co_await weft::shielded(1h, cleans());
            co_await weft::finally(sleeps(), cleans());
        };
        auto body = [&](nursery& n) -> task<> {
            n.spawn(work());
            co_await weft::sleep_for(1s);
            n.request_stop();
        };
        auto all = [&]() -> task<> { co_await weft::scope(body); };
        rt.block_on(all());
        CHECK(cleaned == 9);
    }

    TEST_CASE("a deadline of the task's own is told as often as it passes") {
        weft::test::runtime rt;
        int told = 0;
        auto work = [&]() -> task<> {
            for (int i = 0; i < 3; ++i) {
                auto const ended = co_await (weft::timeout(1s, sleeps()) | weft::as_result);
                told += ended.error() == std::errc::timed_out ? 1 : 0;
            }
        };
        rt.block_on(work());
        CHECK(told == 3);
    }

    TEST_CASE("a foreign token's stop is told as often as it ends a task") {
        weft::test::runtime rt;
        int told = 0;
        auto work = [&]() -> task<> {
            weft::stop_source source;
            source.request_stop();
            for (int i = 0; i < 3; ++i) {
                auto const ended =
                    co_await (weft::with_stop_token(source.token(), sleeps()) | weft::as_result);
                told += is_canceled(ended.error()) ? 1 : 0;
            }
        };
        rt.block_on(work());
        CHECK(told == 3);
    }
}
