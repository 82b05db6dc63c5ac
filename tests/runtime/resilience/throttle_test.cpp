#include <weft/runtime/resilience/throttle.hpp>

#include <weft/runtime/join/when_all.hpp>
#include <weft/runtime/testing/test_runtime.hpp>
#include <weft/runtime/time/timeout.hpp>
#include <weft/tests/support/outcome.hpp>
#include <weft/tests/support/small_tasks.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace {

using namespace std::chrono_literals;
using weft::task;
using weft::throttle;
using weft::throttle_options;
using weft::detail::interval_gate;
using weft::test::outcome_of;
using weft::test::runtime;

using verdict = interval_gate::verdict;

constexpr weft::clock::time_point start{1h};

throttle_options once_per(weft::clock::duration interval, bool trailing) {
    throttle_options options;
    options.interval = interval;
    options.trailing = trailing;
    return options;
}

/// A call after `delay` that gives `value`; -1 for one that was skipped.
task<int> call_after(throttle& policy, weft::clock::duration delay, int value) {
    co_await weft::sleep_for(delay);
    auto call = policy.run([value] { return weft::test::value(value); });
    std::optional<int> const ran = co_await std::move(call);
    co_return ran.value_or(-1);
}

std::vector<int> burst(runtime& rt, throttle& policy) {
    auto calls = [&]() -> task<std::vector<int>> {
        std::vector<task<int>> all;
        for (int i = 0; i < 6; ++i) {
            all.push_back(call_after(policy, i * 45ms, i));
        }
        co_return co_await weft::when_all(std::move(all));
    };
    return rt.block_on(calls());
}

}  // namespace

TEST_SUITE("runtime/resilience/throttle") {
    TEST_CASE("the gate lets one call through per interval") {
        interval_gate gate(once_per(100ms, false));
        CHECK(gate.arrive(start).answer == verdict::run);
        CHECK(gate.arrive(start + 99ms).answer == verdict::skip);
        CHECK(gate.arrive(start + 100ms).answer == verdict::run);
        CHECK(gate.arrive(start + 150ms).answer == verdict::skip);
    }

    TEST_CASE("a trailing gate lets the last of the early calls through at the interval's end") {
        interval_gate gate(once_per(100ms, true));
        CHECK(gate.arrive(start).answer == verdict::run);
        auto const early = gate.arrive(start + 10ms);
        auto const late = gate.arrive(start + 20ms);
        CHECK(early.answer == verdict::wait);
        CHECK(late.due == start + 100ms);
        CHECK_FALSE(gate.claim(early, start + 100ms));
        CHECK(gate.claim(late, start + 100ms));
        CHECK(gate.arrive(start + 150ms).due == start + 200ms);
    }

    TEST_CASE("calls before the interval is over are skipped at once") {
        runtime rt;
        throttle policy(once_per(100ms, false));
        CHECK(burst(rt, policy) == std::vector<int>{0, -1, -1, 3, -1, -1});
        CHECK(policy.counters().ran == 2);
        CHECK(policy.counters().skipped == 4);
    }

    TEST_CASE("with a trailing call nothing that came last is lost") {
        runtime rt;
        throttle policy(once_per(100ms, true));
        auto const begun = rt.now();
        CHECK(burst(rt, policy) == std::vector<int>{0, -1, 2, -1, 4, 5});
        CHECK(std::chrono::round<std::chrono::milliseconds>(rt.now() - begun) == 300ms);
        CHECK(policy.counters().calls == 6);
    }

    TEST_CASE("work without a value tells whether it ran, and its error passes through") {
        runtime rt;
        throttle policy(once_per(100ms, false));
        int runs = 0;
        auto work = [&runs] {
            return [](int& count) -> task<> {
                ++count;
                co_return;
            }(runs);
        };
        CHECK(rt.block_on(policy.run(work)));
        CHECK_FALSE(rt.block_on(policy.run(work)));
        CHECK(runs == 1);
        rt.advance(1s);
        auto broken = [&]() -> task<int> {
            auto inner = policy.run([] { return weft::test::fails("broken"); });
            auto const value = co_await std::move(inner);
            co_return value.value_or(-1);
        };
        CHECK(rt.block_on(outcome_of(broken())) == "error broken");
    }

    TEST_CASE("a stop ends a trailing call while it waits") {
        runtime rt;
        throttle policy(once_per(100ms, true));
        CHECK(rt.block_on(call_after(policy, 0ms, 1)) == 1);
        auto limited = [](task<std::optional<int>> call) -> task<int> {
            auto const value = co_await weft::timeout(50ms, std::move(call));
            co_return value.value_or(-1);
        };
        auto waits = policy.run([] { return weft::test::value(2); });
        CHECK(rt.block_on(outcome_of(limited(std::move(waits)))) == "error timed out");
        CHECK(policy.counters().stopped == 1);
    }
}
