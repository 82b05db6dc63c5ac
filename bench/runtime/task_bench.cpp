// Question: what do an await, one under stops that may come, a join of two, a yield and a spawned
// child cost on one worker?
// Excluded: I/O, parking, anything that leaves the worker. Would invalidate it: the compiler
// eliding frames (checked: the child is not inlinable), a second worker.

#include <weft/runtime/join/when_all.hpp>
#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/scope/scope.hpp>
#include <weft/runtime/scope/stop_on.hpp>
#include <weft/runtime/task/call.hpp>
#include <weft/runtime/time/sleep.hpp>
#include <weft/runtime/time/timeout.hpp>

#include <benchmark/benchmark.h>

#include <chrono>
#include <cstdint>
#include <utility>

namespace {

using weft::task;

constexpr std::int64_t batch = 10'000;

[[gnu::noinline]] task<std::int64_t> one() {
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

task<std::int64_t> awaits() {
    std::int64_t sum = 0;
    for (std::int64_t i = 0; i < batch; ++i) {
        sum += co_await one();
    }
    co_return sum;
}

/// Where a stop may come from a scope, a deadline, a sibling and a foreign token at any time.
task<std::int64_t> awaits_in_scope() {
    weft::stop_source source;
    auto body = [](weft::nursery& n) -> task<std::int64_t> {
        auto sibling = n.spawn([] { return weft::sleep_for(std::chrono::hours(1)); });
        std::int64_t const sum = co_await awaits();
        sibling.request_stop();
        co_return sum;
    };
    auto limited = [&body]() -> task<std::int64_t> { co_return co_await weft::scope(body); };
    auto inner = weft::call([&] { return weft::timeout(std::chrono::hours(1), limited()); });
    co_return co_await weft::with_stop_token(source.token(), std::move(inner));
}

task<std::int64_t> joins() {
    std::int64_t sum = 0;
    for (std::int64_t i = 0; i < batch; i += 2) {
        auto [a, b] = co_await weft::when_all(one(), one());
        sum += a + b;
    }
    co_return sum;
}

task<std::int64_t> yields() {
    std::int64_t sum = 0;
    for (; sum < batch; ++sum) {
        co_await weft::yield();
    }
    co_return sum;
}

task<> add_one(std::int64_t& sum) {
    ++sum;
    co_return;
}

task<std::int64_t> spawns() {
    std::int64_t sum = 0;
    auto body = [&sum](weft::nursery& n) -> task<> {
        for (std::int64_t i = 0; i < batch; ++i) {
            n.spawn(add_one(sum));
            if (i % 128 == 127) {
                co_await weft::yield();
            }
        }
    };
    co_await weft::scope(body);
    co_return sum;
}

task<std::int64_t> timeouts() {
    std::int64_t sum = 0;
    for (std::int64_t i = 0; i < batch; ++i) {
        sum += co_await weft::timeout(std::chrono::hours(1), one());
    }
    co_return sum;
}

void task_await(benchmark::State& state) {
    run(state, awaits);
}

void task_await_in_scope(benchmark::State& state) {
    run(state, awaits_in_scope);
}

void task_join(benchmark::State& state) {
    run(state, joins);
}

void task_yield(benchmark::State& state) {
    run(state, yields);
}

void task_spawn(benchmark::State& state) {
    run(state, spawns);
}

void task_timeout(benchmark::State& state) {
    run(state, timeouts);
}

BENCHMARK(task_await)->Name("task/await")->UseRealTime();
BENCHMARK(task_await_in_scope)->Name("task/await_in_scope")->UseRealTime();
BENCHMARK(task_join)->Name("task/join_of_two")->UseRealTime();
BENCHMARK(task_yield)->Name("task/yield")->UseRealTime();
BENCHMARK(task_spawn)->Name("task/spawn_and_join")->UseRealTime();
BENCHMARK(task_timeout)->Name("task/timeout_unused")->UseRealTime();

}  // namespace

BENCHMARK_MAIN();
