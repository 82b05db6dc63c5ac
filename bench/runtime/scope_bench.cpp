// Question: what do a scope, a join through a handle, a limited spawn, and a stop of 10,000
// sleeping children cost? Excluded: I/O. Would invalidate it: a second worker in the first three,
// whose hand-over would be measured then.

#include <weft/runtime/scope/scope.hpp>

#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/time/sleep.hpp>

#include <benchmark/benchmark.h>

#include <chrono>
#include <cstdint>
#include <functional>

namespace {

using weft::nursery;
using weft::task;

constexpr std::int64_t batch = 10'000;

task<std::int64_t> one() {
    co_return 1;
}

/// Runs `batch` rounds of a coroutine per iteration and checks what it counted.
template <class Rounds>
void run(benchmark::State& state, Rounds rounds) {
    weft::thread_pool pool({.workers = 1});
    for (auto _ : state) {
        if (pool.block_on(rounds()) != batch) {
            state.SkipWithError("wrong count");
            return;
        }
    }
    state.SetItemsProcessed(state.iterations() * batch);
}

task<std::int64_t> empty_scopes() {
    std::int64_t sum = 0;
    auto body = [](nursery&) -> task<std::int64_t> { co_return 1; };
    for (std::int64_t i = 0; i < batch; ++i) {
        sum += co_await weft::scope(body);
    }
    co_return sum;
}

task<std::int64_t> joins() {
    auto body = [](nursery& n) -> task<std::int64_t> {
        std::int64_t sum = 0;
        for (std::int64_t i = 0; i < batch; ++i) {
            auto child = n.spawn(one());
            sum += co_await child;
        }
        co_return sum;
    };
    co_return co_await weft::scope(body);
}

task<std::int64_t> limited() {
    std::int64_t sum = 0;
    auto add = [](std::int64_t& target) -> task<> {
        ++target;
        co_return;
    };
    auto body = [&](nursery& n) -> task<> {
        n.set_limit(16);
        for (std::int64_t i = 0; i < batch; ++i) {
            co_await n.spawn_when_free(add(sum));
        }
    };
    co_await weft::scope(body);
    co_return sum;
}

void scope_empty(benchmark::State& state) {
    run(state, empty_scopes);
}

void scope_join(benchmark::State& state) {
    run(state, joins);
}

void scope_limited(benchmark::State& state) {
    run(state, limited);
}

/// Timed by hand: from the request to the end of the scope, without the spawns.
void scope_stop(benchmark::State& state) {
    weft::thread_pool pool({.workers = static_cast<unsigned>(state.range(0))});
    for (auto _ : state) {
        weft::clock::time_point requested;
        auto body = [&](nursery& n) -> task<> {
            for (std::int64_t i = 0; i < batch; ++i) {
                n.spawn([] { return weft::sleep_for(std::chrono::hours(1)); });
            }
            co_await weft::sleep_for(std::chrono::milliseconds(20));
            requested = weft::clock::now();
            n.request_stop();
        };
        auto work = [&]() -> task<> { co_await weft::scope(std::ref(body)); };
        pool.block_on(work());
        std::chrono::duration<double> const taken = weft::clock::now() - requested;
        state.SetIterationTime(taken.count());
    }
}

BENCHMARK(scope_empty)->Name("scope/empty")->UseRealTime();
BENCHMARK(scope_join)->Name("scope/spawn_and_join_handle")->UseRealTime();
BENCHMARK(scope_limited)->Name("scope/spawn_when_free/limit:16")->UseRealTime();
BENCHMARK(scope_stop)
    ->Name("scope/stop_to_last_joined/children:10000")
    ->ArgName("threads")
    ->Arg(1)
    ->Arg(2)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
