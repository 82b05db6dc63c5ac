// Question: what do a race, a gathering of outcomes and a map with a limit cost on one worker, when
// nobody waits for anything? task/join_of_two of task_bench is the yardstick for two children.
// Excluded: I/O, parking, anything that leaves the worker. Would invalidate it: the compiler
// eliding frames (checked: the child is not inlinable), a second worker.

#include <weft/runtime/join/all_settled.hpp>
#include <weft/runtime/join/as_completed.hpp>
#include <weft/runtime/join/first_success.hpp>
#include <weft/runtime/join/when_any.hpp>
#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/ranges/for_each.hpp>
#include <weft/runtime/ranges/map.hpp>
#include <weft/runtime/ranges/map_reduce.hpp>
#include <weft/runtime/time/sleep.hpp>

#include <benchmark/benchmark.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using weft::task;

constexpr std::int64_t rounds_per_iteration = 1'000;
constexpr std::size_t map_size = 1'000;
constexpr std::size_t map_limit = 16;

[[gnu::noinline]] task<std::int64_t> one() {
    co_return 1;
}

[[gnu::noinline]] task<std::int64_t> sleeper() {
    co_await weft::sleep_for(1h);
    co_return 0;
}

[[gnu::noinline]] task<std::int64_t> itself(std::int64_t item) {
    co_return item;
}

/// Runs `round`, a coroutine, again and again in one task, and checks what each of them gives.
template <class Round>
void run(benchmark::State& state, Round round, std::int64_t expected, std::int64_t items) {
    weft::thread_pool pool({.workers = 1});
    auto work = [round]() -> task<std::int64_t> {
        std::int64_t sum = 0;
        for (std::int64_t i = 0; i < rounds_per_iteration; ++i) {
            sum += co_await round();
        }
        co_return sum;
    };
    for (auto _ : state) {
        if (pool.block_on(work()) != expected * rounds_per_iteration) {
            state.SkipWithError("wrong sum");
            return;
        }
    }
    state.SetItemsProcessed(state.iterations() * rounds_per_iteration * items);
}

task<std::int64_t> race_ready() {
    std::int64_t const first = co_await weft::race(one(), one());
    co_return first;
}

task<std::int64_t> race_sleeper() {
    std::int64_t const first = co_await weft::race(sleeper(), one());
    co_return first;
}

task<std::int64_t> first_success_ready() {
    std::int64_t const first = co_await weft::first_success(one(), one());
    co_return first;
}

task<std::int64_t> all_settled_ready() {
    auto const [a, b] = co_await weft::all_settled(one(), one());
    co_return *a + *b;
}

task<std::int64_t> take_all(weft::completions<std::int64_t>& results) {
    std::int64_t sum = 0;
    while (auto each = co_await results.next()) {
        sum += **each;
    }
    co_return sum;
}

task<std::int64_t> as_completed_ready() {
    std::vector<task<std::int64_t>> tasks;
    tasks.reserve(16);
    for (std::size_t i = 0; i < 16; ++i) {
        tasks.push_back(one());
    }
    std::int64_t const sum = co_await weft::as_completed(std::move(tasks), take_all);
    co_return sum;
}

void map_thousand(benchmark::State& state) {
    weft::thread_pool pool({.workers = 1});
    std::vector<std::int64_t> items(map_size);
    std::iota(items.begin(), items.end(), std::int64_t{0});
    for (auto _ : state) {
        auto const values = pool.block_on(weft::map(items, itself, {.limit = map_limit}));
        if (values != items) {
            state.SkipWithError("wrong values");
            return;
        }
    }
    state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(map_size));
}

void reduce_thousand(benchmark::State& state) {
    weft::thread_pool pool({.workers = 1});
    std::vector<std::int64_t> items(map_size);
    std::iota(items.begin(), items.end(), std::int64_t{0});
    auto const add = [](std::int64_t left, std::int64_t right) { return left + right; };
    for (auto _ : state) {
        auto const sum = pool.block_on(
            weft::map_reduce(items, itself, std::int64_t{0}, add, {.limit = map_limit}));
        if (sum != 499'500) {
            state.SkipWithError("wrong sum");
            return;
        }
    }
    state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(map_size));
}

BENCHMARK_CAPTURE(run, race_ready, race_ready, 1, 1)->Name("race/two_ready")->UseRealTime();
BENCHMARK_CAPTURE(run, race_sleeper, race_sleeper, 1, 1)->Name("race/loser_sleeps")->UseRealTime();
BENCHMARK_CAPTURE(run, first_success_ready, first_success_ready, 1, 1)
    ->Name("first_success/two_ready")
    ->UseRealTime();
BENCHMARK_CAPTURE(run, all_settled_ready, all_settled_ready, 2, 1)
    ->Name("all_settled/two_ready")
    ->UseRealTime();
BENCHMARK_CAPTURE(run, as_completed_ready, as_completed_ready, 16, 16)
    ->Name("as_completed/ready/tasks:16")
    ->UseRealTime();
BENCHMARK(map_thousand)->Name("map/items:1000/limit:16")->UseRealTime();
BENCHMARK(reduce_thousand)->Name("map_reduce/items:1000/limit:16")->UseRealTime();

}  // namespace

BENCHMARK_MAIN();
