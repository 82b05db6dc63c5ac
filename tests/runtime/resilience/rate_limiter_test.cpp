#include <weft/runtime/resilience/rate_limiter.hpp>

#include <weft/runtime/stop_on.hpp>
#include <weft/runtime/test_runtime.hpp>
#include <weft/runtime/timeout.hpp>
#include <weft/runtime/when_all.hpp>
#include <weft/tests/support/outcome.hpp>
#include <weft/tests/support/small_tasks.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <string>
#include <vector>

namespace {

using namespace std::chrono_literals;
using weft::rate_limiter;
using weft::rate_limiter_options;
using weft::task;
using weft::test::outcome_of;
using weft::test::outcome_under;
using weft::test::runtime;

rate_limiter_options ten_per_second(weft::clock::duration longest_wait) {
    rate_limiter_options options;
    options.limit = 10;
    options.burst = 1;
    options.longest_wait = longest_wait;
    return options;
}

task<int> one() {
    return weft::test::value(1);
}

task<std::string> limited(rate_limiter& limiter, weft::clock::duration limit) {
    auto inner = weft::timeout(limit, limiter.run(&one));
    auto wait = [](auto& operation) -> task<int> {
        int const value = co_await operation;
        co_return value;
    };
    std::string text = co_await outcome_of(wait(inner));
    co_return text;
}

}  // namespace

TEST_SUITE("runtime/resilience/rate_limiter") {
    TEST_CASE("calls beyond the rate wait for their turn") {
        runtime rt;
        rate_limiter limiter(ten_per_second(1h));
        auto many = [&]() -> task<int> {
            std::vector<task<int>> calls;
            for (int i = 0; i < 21; ++i) {
                calls.push_back(limiter.run(&one));
            }
            int sum = 0;
            for (int each : co_await weft::when_all(std::move(calls))) {
                sum += each;
            }
            co_return sum;
        };
        auto const start = rt.now();
        CHECK(rt.block_on(many()) == 21);
        CHECK(std::chrono::round<std::chrono::milliseconds>(rt.now() - start) == 2s);
        CHECK(limiter.counters().admitted == 21);
        CHECK(limiter.counters().delayed == 20);
        CHECK(limiter.counters().waiting == 0);
    }

    TEST_CASE("a call whose turn is too far off is refused and told when to come back") {
        runtime rt;
        rate_limiter limiter(ten_per_second(0s));
        CHECK(rt.block_on(outcome_of(limiter.run(&one))) == "value 1");
        try {
            (void)rt.block_on(limiter.run(&one));
            FAIL("the call was let in");
        } catch (weft::rejected const& refusal) {
            CHECK(refusal.code() == weft::errc::rate_limited);
            CHECK(refusal.retry_after() == 100ms);
        }
        CHECK(limiter.counters().rejected == 1);
        rt.advance(100ms);
        CHECK(rt.block_on(outcome_of(limiter.run(&one))) == "value 1");
    }

    TEST_CASE("a call whose turn comes after its deadline is refused at once") {
        runtime rt;
        rate_limiter limiter(ten_per_second(1h));
        CHECK(rt.block_on(outcome_of(limiter.run(&one))) == "value 1");
        auto const start = rt.now();
        CHECK(rt.block_on(limited(limiter, 50ms)) == "error rejected: rate limited");
        CHECK(rt.now() == start);
        CHECK(rt.block_on(limited(limiter, 500ms)) == "value 1");
    }

    TEST_CASE("no more calls wait than the queue holds") {
        runtime rt;
        rate_limiter_options options = ten_per_second(1h);
        options.queued = 2;
        rate_limiter limiter(options);
        auto all = [&]() -> task<int> {
            std::vector<task<std::string>> calls;
            for (int i = 0; i < 5; ++i) {
                calls.push_back(outcome_of(limiter.run(&one)));
            }
            int refused = 0;
            for (auto const& each : co_await weft::when_all(std::move(calls))) {
                refused += each == "error rejected: rate limited" ? 1 : 0;
            }
            co_return refused;
        };
        CHECK(rt.block_on(all()) == 2);
    }

    TEST_CASE("a stop while it waits ends a call and gives its turn to the next") {
        runtime rt;
        rate_limiter limiter(ten_per_second(1h));
        weft::stop_source source;
        auto then_another = [&]() -> task<std::string> {
            co_await weft::sleep_for(50ms);
            source.request_stop();
            co_await weft::sleep_for(1ms);
            std::string text = co_await outcome_of(limiter.run(&one));
            co_return text;
        };
        auto all = [&]() -> task<std::string> {
            auto [a, b, c] =
                co_await weft::when_all(outcome_of(limiter.run(&one)),
                                        outcome_under(source.token(), limiter.run(&one)),
                                        then_another());
            co_return a + ", " + b + ", " + c;
        };
        auto const start = rt.now();
        CHECK(rt.block_on(all()) == "value 1, stopped, value 1");
        CHECK(std::chrono::round<std::chrono::milliseconds>(rt.now() - start) == 100ms);
        CHECK(limiter.counters().stopped_waiting == 1);
    }

    TEST_CASE("a call that is stopped before it begins and must wait gives its turn back") {
        runtime rt;
        rate_limiter limiter(ten_per_second(1h));
        weft::stop_source source;
        source.request_stop();
        CHECK(rt.block_on(outcome_of(limiter.run(&one))) == "value 1");
        CHECK(rt.block_on(outcome_under(source.token(), limiter.run(&one))) == "stopped");
        auto const start = rt.now();
        CHECK(rt.block_on(outcome_of(limiter.run(&one))) == "value 1");
        CHECK(std::chrono::round<std::chrono::milliseconds>(rt.now() - start) == 100ms);
    }

    TEST_CASE("errors of the work pass through and use their turn") {
        runtime rt;
        rate_limiter limiter(ten_per_second(0s));
        auto broken = [] { return weft::test::fails("broken"); };
        CHECK(rt.block_on(outcome_of(limiter.run(broken))) == "error broken");
        CHECK(rt.block_on(outcome_of(limiter.run(&one))) == "error rejected: rate limited");
    }
}
