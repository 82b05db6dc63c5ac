// Question: what does a value cost on its way through a channel, and what does a select over four
// channels cost, when something is ready and when it has to wait?
// Excluded: I/O; making the channel and the tasks is spread over 10^5 values. Would invalidate it:
// other load, since a waiting worker gives its processor away; with two workers, a machine whose
// two processors share one core.

#include <weft/sync/channels/channel.hpp>

#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/scope/scope.hpp>
#include <weft/sync/select.hpp>

#include <benchmark/benchmark.h>

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace {

using weft::channel;
using weft::nursery;
using weft::task;

constexpr std::int64_t batch = 100'000;

template <class Channel>
task<> produce(Channel& to, std::int64_t count) {
    for (std::int64_t i = 1; i <= count; ++i) {
        co_await to.send(i);
    }
}

template <class Channel>
task<> consume(Channel& from, std::atomic<std::int64_t>& total) {
    std::int64_t sum = 0;
    while (auto value = co_await from.recv()) {
        sum += *value;
    }
    total += sum;
}

template <class Channel>
task<> produce_and_close(Channel& to, std::int64_t producers) {
    auto body = [&](nursery& n) -> task<> {
        for (std::int64_t i = 0; i < producers; ++i) {
            n.spawn(produce(to, batch / producers));
        }
        co_return;
    };
    co_await weft::scope(body);
    to.close();
}

template <class Channel>
task<std::int64_t> through(Channel& numbers, std::int64_t producers, std::int64_t consumers) {
    std::atomic<std::int64_t> total = 0;
    auto body = [&](nursery& n) -> task<> {
        n.spawn(produce_and_close(numbers, producers));
        for (std::int64_t i = 0; i < consumers; ++i) {
            n.spawn(consume(numbers, total));
        }
        co_return;
    };
    co_await weft::scope(body);
    co_return total.load();
}

void throughput(benchmark::State& state) {
    weft::thread_pool pool({.workers = static_cast<unsigned>(state.range(0))});
    std::int64_t const share = batch / state.range(1);
    for (auto _ : state) {
        channel<std::int64_t> numbers(static_cast<std::size_t>(state.range(3)));
        std::int64_t const total = pool.block_on(through(numbers, state.range(1), state.range(2)));
        if (total != state.range(1) * (share * (share + 1) / 2)) {
            state.SkipWithError("values were lost");
            return;
        }
    }
    state.SetItemsProcessed(state.iterations() * batch);
}

BENCHMARK(throughput)
    ->Name("channel/send_recv")
    ->ArgNames({"workers", "producers", "consumers", "capacity"})
    ->Args({1, 1, 1, 1024})
    ->Args({1, 1, 1, 1})
    ->Args({1, 1, 1, 0})
    ->Args({2, 1, 1, 1024})
    ->Args({2, 2, 2, 1024})
    ->Args({2, 4, 4, 1024})
    ->Args({2, 4, 4, 0})
    ->UseRealTime();

void unbounded(benchmark::State& state) {
    weft::thread_pool pool({.workers = static_cast<unsigned>(state.range(0))});
    for (auto _ : state) {
        weft::unbounded_channel<std::int64_t> numbers;
        std::int64_t const total = pool.block_on(through(numbers, 2, 2));
        if (total != (batch / 2) * (batch / 2 + 1)) {
            state.SkipWithError("values were lost");
            return;
        }
    }
    state.SetItemsProcessed(state.iterations() * batch);
}

BENCHMARK(unbounded)
    ->Name("unbounded_channel/send_recv/producers:2/consumers:2")
    ->ArgName("workers")
    ->Arg(1)
    ->Arg(2)
    ->UseRealTime();

task<std::int64_t> select_ready() {
    channel<std::int64_t> a(1);
    channel<std::int64_t> b(1);
    channel<std::int64_t> c(1);
    channel<std::int64_t> d(1);
    std::int64_t sum = 0;
    for (std::int64_t i = 0; i < batch; ++i) {
        (void)d.try_send(1);
        auto won = co_await weft::select(a.recv(), b.recv(), c.recv(), d.recv());
        sum += *won.get<3>();
    }
    co_return sum;
}

/// Every value finds the select waiting in all four channels.
task<std::int64_t> select_waiting() {
    channel<std::int64_t> a(0);
    channel<std::int64_t> b(0);
    channel<std::int64_t> c(0);
    channel<std::int64_t> d(0);
    std::int64_t sum = 0;
    auto body = [&](nursery& n) -> task<> {
        n.spawn(produce(c, batch));
        for (std::int64_t i = 0; i < batch; ++i) {
            auto won = co_await weft::select(a.recv(), b.recv(), c.recv(), d.recv());
            sum += *won.get<2>() != 0 ? 1 : 0;
        }
    };
    co_await weft::scope(body);
    co_return sum;
}

template <task<std::int64_t> (*Rounds)()>
void selects(benchmark::State& state) {
    weft::thread_pool pool({.workers = 1});
    for (auto _ : state) {
        if (pool.block_on(Rounds()) != batch) {
            state.SkipWithError("wrong count");
            return;
        }
    }
    state.SetItemsProcessed(state.iterations() * batch);
}

BENCHMARK(selects<&select_ready>)->Name("select/ready/channels:4")->UseRealTime();
BENCHMARK(selects<&select_waiting>)->Name("select/waiting/channels:4")->UseRealTime();

}  // namespace

BENCHMARK_MAIN();
