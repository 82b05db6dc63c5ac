// Question: what do the scheduler's queues cost their owner while nobody steals? Excluded: thieves
// (their cost is a heavy fence and a CAS, measured as deque/steal). Would invalidate it: a kernel
// without membarrier, where the owner's pop has a full fence (reported as a label).

#include <weft/runtime/core/ready_queue.hpp>
#include <weft/runtime/core/work_deque.hpp>

#include <benchmark/benchmark.h>

#include <cstdint>

namespace {

using weft::detail::ready_queue;
using weft::detail::steal_status;
using weft::detail::work_deque;

void label(benchmark::State& state) {
    state.SetLabel(weft::detail::init_asymmetric_fence() ? "membarrier" : "full fences");
}

void deque_push_pop(benchmark::State& state) {
    label(state);
    work_deque<int> deque;
    int item = 0;
    for (auto _ : state) {
        deque.push(&item);
        if (deque.pop() != &item) {
            state.SkipWithError("lost an item");
        }
    }
    state.SetItemsProcessed(state.iterations());
}

void deque_steal(benchmark::State& state) {
    label(state);
    work_deque<int> deque;
    int item = 0;
    for (auto _ : state) {
        deque.push(&item);
        if (deque.steal().status != steal_status::ok) {
            state.SkipWithError("lost an item");
        }
    }
    state.SetItemsProcessed(state.iterations());
}

void ready_push_pop(benchmark::State& state) {
    ready_queue<int> queue;
    int item = 0;
    for (auto _ : state) {
        if (!queue.try_push(&item) || queue.try_pop() != &item) {
            state.SkipWithError("lost an item");
        }
    }
    state.SetItemsProcessed(state.iterations());
}

BENCHMARK(deque_push_pop)->Name("deque/push_pop");
BENCHMARK(deque_steal)->Name("deque/steal");
BENCHMARK(ready_push_pop)->Name("ready/push_pop");

}  // namespace

BENCHMARK_MAIN();
