#include <weft/runtime/resilience/debounce.hpp>

#include <weft/runtime/join/when_all.hpp>
#include <weft/runtime/scope/stop_on.hpp>
#include <weft/runtime/testing/test_runtime.hpp>
#include <weft/tests/support/outcome.hpp>
#include <weft/tests/support/small_tasks.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace {

using namespace std::chrono_literals;
using weft::debounce;
using weft::debounce_options;
using weft::task;
using weft::detail::quiet_gate;
using weft::test::outcome_of;
using weft::test::outcome_under;
using weft::test::runtime;

constexpr weft::clock::time_point start{1h};

debounce_options quiet_for(weft::clock::duration quiet,
                           weft::clock::duration longest = weft::clock::duration::max()) {
    debounce_options options;
    options.quiet = quiet;
    options.longest = longest;
    return options;
}

/// A call after `delay` that gives `value`; -1 for one that was skipped.
task<int> call_after(debounce& policy, weft::clock::duration delay, int value) {
    co_await weft::sleep_for(delay);
    auto call = policy.run([value] { return weft::test::value(value); });
    std::optional<int> const ran = co_await std::move(call);
    co_return ran.value_or(-1);
}

}  // namespace

TEST_SUITE("runtime/resilience/debounce") {
    TEST_CASE("the gate lets the last call of a burst through, when it was quiet long enough") {
        quiet_gate gate(quiet_for(100ms));
        auto const first = gate.arrive(start);
        auto const second = gate.arrive(start + 50ms);
        CHECK(first.due == start + 100ms);
        CHECK(second.due == start + 150ms);
        CHECK_FALSE(gate.claim(first));
        CHECK(gate.claim(second));
    }

    TEST_CASE("the gate lets a call through at the latest when the burst is long enough") {
        quiet_gate gate(quiet_for(100ms, 250ms));
        auto last = gate.arrive(start);
        for (auto now = start + 50ms; now <= start + 250ms; now += 50ms) {
            last = gate.arrive(now);
        }
        CHECK(last.due == start + 250ms);
        CHECK(gate.claim(last));
        CHECK(gate.arrive(start + 260ms).due == start + 360ms);
    }

    TEST_CASE("of a burst of calls the last one runs") {
        runtime rt;
        debounce policy(quiet_for(100ms));
        auto burst = [&]() -> task<std::vector<int>> {
            std::vector<task<int>> calls;
            for (int i = 0; i < 5; ++i) {
                calls.push_back(call_after(policy, i * 50ms, i));
            }
            co_return co_await weft::when_all(std::move(calls));
        };
        auto const begun = rt.now();
        CHECK(rt.block_on(burst()) == std::vector<int>{-1, -1, -1, -1, 4});
        CHECK(std::chrono::round<std::chrono::milliseconds>(rt.now() - begun) == 300ms);
        CHECK(policy.counters().calls == 5);
        CHECK(policy.counters().ran == 1);
        CHECK(policy.counters().superseded == 4);
    }

    TEST_CASE("calls that are far apart all run") {
        runtime rt;
        debounce policy(quiet_for(100ms));
        for (int i = 0; i < 3; ++i) {
            CHECK(rt.block_on(call_after(policy, 1s, i)) == i);
        }
        CHECK(policy.counters().ran == 3);
    }

    TEST_CASE("work without a value tells whether it ran") {
        runtime rt;
        debounce policy(quiet_for(100ms));
        int runs = 0;
        auto work = [&runs] {
            return [](int& count) -> task<> {
                ++count;
                co_return;
            }(runs);
        };
        CHECK(rt.block_on(policy.run(work)));
        CHECK(runs == 1);
    }

    TEST_CASE("an error of the work passes through") {
        runtime rt;
        debounce policy(quiet_for(1ms));
        auto call = [&]() -> task<int> {
            auto inner = policy.run([] { return weft::test::fails("broken"); });
            auto const value = co_await std::move(inner);
            co_return value.value_or(-1);
        };
        CHECK(rt.block_on(outcome_of(call())) == "error broken");
    }

    TEST_CASE("a stop while it waits ends a call, and the burst with it if it was the last") {
        runtime rt;
        debounce policy(quiet_for(100ms));
        weft::stop_source source;
        source.request_stop();
        auto stopped = call_after(policy, 0ms, 1);
        CHECK(rt.block_on(outcome_under(source.token(), std::move(stopped))) == "stopped");
        int ran = 0;
        auto direct = policy.run([&ran] { return weft::test::value(++ran); });
        auto watched = [](task<std::optional<int>> inner) -> task<int> {
            auto const value = co_await std::move(inner);
            co_return value.value_or(-1);
        };
        CHECK(rt.block_on(outcome_under(source.token(), watched(std::move(direct)))) == "stopped");
        CHECK(ran == 0);
        CHECK(policy.counters().stopped == 1);
    }
}
