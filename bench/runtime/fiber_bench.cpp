// Question: what does a switch of a fiber cost beside what it is made of, a switch of Boost.Context
// and one of a coroutine? And its await, its start, and a call that awaits nothing?
// Excluded: I/O, parking, anything that leaves the worker. A switch here is there and back.
// Would invalidate it: the compiler seeing through the calls (the functions that switch are not
// inlinable), a second worker.

#include <weft/runtime/fiber/fiber.hpp>

#include <weft/runtime/coro/promise.hpp>
#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/sched/make_ready.hpp>
#include <weft/runtime/time/sleep.hpp>

#include <benchmark/benchmark.h>

#include <concepts>
#include <coroutine>
#include <cstdint>
#include <utility>

#include <boost/context/fiber.hpp>

namespace {

using weft::task;
namespace this_fiber = weft::this_fiber;

constexpr std::int64_t batch = 10'000;

/// Runs `batch` rounds per iteration on a worker and checks what they counted.
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

/// Suspends, and is resumed by whoever resumed the coroutine before: one switch there and back, and
/// nothing else.
struct bounce {
    std::coroutine_handle<>* waiter;

    [[nodiscard]] bool await_ready() const noexcept { return false; }

    void await_suspend(std::coroutine_handle<> suspended) const noexcept { *waiter = suspended; }

    void await_resume() const noexcept {}
};

task<> bounces(std::coroutine_handle<>& waiter, bool& ends) {
    while (!ends) {
        co_await bounce{&waiter};
    }
}

task<> bounces_on_fiber(std::coroutine_handle<>& waiter, bool& ends) {
    return weft::fiber([&waiter, &ends] {
        while (!ends) {
            this_fiber::await(bounce{&waiter});
        }
    });
}

/// Resumes what `make` gives again and again from this thread, without a worker or a queue.
template <class Make>
void resume(benchmark::State& state, Make make) {
    std::coroutine_handle<> waiter;
    bool ends = false;
    auto driver = [&]() -> task<> { co_await make(waiter, ends); };
    auto loop = [&]() -> task<> {
        for (auto _ : state) {
            waiter.resume();
        }
        ends = true;
        waiter.resume();
        co_return;
    };
    weft::thread_pool pool({.workers = 1});
    auto handle = pool.spawn(driver());
    pool.block_on(loop());
    state.SetItemsProcessed(state.iterations());
}

void boost_switch(benchmark::State& state) {
    namespace context = boost::context;
    bool ends = false;
    context::fiber other([&ends](context::fiber&& back) {
        while (!ends) {
            back = std::move(back).resume();
        }
        return std::move(back);
    });
    for (auto _ : state) {
        other = std::move(other).resume();
    }
    ends = true;
    other = std::move(other).resume();
    state.SetItemsProcessed(state.iterations());
}

void coroutine_switch(benchmark::State& state) {
    resume(state, bounces);
}

void fiber_switch(benchmark::State& state) {
    resume(state, bounces_on_fiber);
}

/// Ready when it is asked.
struct ready {
    [[nodiscard]] bool await_ready() const noexcept { return true; }

    void await_suspend(std::coroutine_handle<>) const noexcept {}

    void await_resume() const noexcept {}
};

[[gnu::noinline]] task<std::int64_t> one() {
    co_return 1;
}

task<std::int64_t> coroutine_yields() {
    std::int64_t sum = 0;
    for (; sum < batch; ++sum) {
        co_await weft::yield();
    }
    co_return sum;
}

task<std::int64_t> fiber_yields() {
    return weft::fiber([] {
        std::int64_t sum = 0;
        for (; sum < batch; ++sum) {
            this_fiber::yield();
        }
        return sum;
    });
}

task<std::int64_t> fiber_awaits_ready() {
    return weft::fiber([] {
        std::int64_t sum = 0;
        for (; sum < batch; ++sum) {
            this_fiber::await(ready());
        }
        return sum;
    });
}

task<std::int64_t> fiber_awaits_tasks() {
    return weft::fiber([] {
        std::int64_t sum = 0;
        while (sum < batch) {
            sum += this_fiber::await(one());
        }
        return sum;
    });
}

task<std::int64_t> starts() {
    std::int64_t sum = 0;
    while (sum < batch) {
        sum += co_await weft::fiber([] { return std::int64_t{1}; });
    }
    co_return sum;
}

void yield_in_coroutine(benchmark::State& state) {
    run(state, coroutine_yields);
}

void yield_in_fiber(benchmark::State& state) {
    run(state, fiber_yields);
}

void await_of_ready(benchmark::State& state) {
    run(state, fiber_awaits_ready);
}

void await_of_task(benchmark::State& state) {
    run(state, fiber_awaits_tasks);
}

void start(benchmark::State& state) {
    run(state, starts);
}

}  // namespace

BENCHMARK(boost_switch)->Name("fiber/switch/boost_context")->UseRealTime();
BENCHMARK(coroutine_switch)->Name("fiber/switch/coroutine")->UseRealTime();
BENCHMARK(fiber_switch)->Name("fiber/switch")->UseRealTime();
BENCHMARK(yield_in_coroutine)->Name("fiber/yield/coroutine")->UseRealTime();
BENCHMARK(yield_in_fiber)->Name("fiber/yield")->UseRealTime();
BENCHMARK(await_of_ready)->Name("fiber/await/ready")->UseRealTime();
BENCHMARK(await_of_task)->Name("fiber/await/task")->UseRealTime();
BENCHMARK(start)->Name("fiber/start")->UseRealTime();

BENCHMARK_MAIN();
