// Question: what does arming and cancelling a timer cost, with few and with many others alive?
// Excluded: the clock, the driver's wait.
// Would invalidate it: deadlines that all fall into one slot.

#include <weft/runtime/core/timer_wheel.hpp>

#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace {

using weft::detail::timer_list;
using weft::detail::timer_node;
using weft::detail::timer_wheel;

std::uint64_t next_random(std::uint64_t& state) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    return state >> 33U;
}

/// Arms `live` timers, then measures one more being armed and cancelled.
void timer_arm_cancel(benchmark::State& state) {
    timer_wheel wheel;
    std::vector<timer_node> others(static_cast<std::size_t>(state.range(0)));
    std::uint64_t random = 1;
    for (timer_node& each : others) {
        wheel.insert(each, 1 + next_random(random) % 100'000'000);
    }
    timer_node timer;
    for (auto _ : state) {
        wheel.insert(timer, 1 + next_random(random) % 100'000'000);
        if (!wheel.cancel(timer)) {
            state.SkipWithError("lost a timer");
        }
    }
    state.SetItemsProcessed(state.iterations());
    for (timer_node& each : others) {
        wheel.cancel(each);
    }
}

/// Arms timers and lets them expire in steps of a millisecond.
void timer_expire(benchmark::State& state) {
    constexpr std::size_t count = 1'000;
    timer_wheel wheel;
    std::vector<timer_node> timers(count);
    std::uint64_t random = 1;
    std::uint64_t now = 0;
    for (auto _ : state) {
        for (timer_node& each : timers) {
            wheel.insert(each, now + 1 + next_random(random) % 1'000'000);
        }
        std::size_t fired = 0;
        while (!wheel.empty()) {
            timer_list expired;
            now += 1'000;
            wheel.advance(now, expired);
            while (expired.pop_front() != nullptr) {
                ++fired;
            }
        }
        if (fired != count) {
            state.SkipWithError("lost a timer");
        }
    }
    state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(count));
}

BENCHMARK(timer_arm_cancel)->Name("timer/arm_cancel/live")->Arg(0)->Arg(100'000);
BENCHMARK(timer_expire)->Name("timer/arm_expire");

}  // namespace

BENCHMARK_MAIN();
