// Question: what does an operation of the primitives in sync/ cost, free and contended?
// Excluded: channels and select; what the protected code does. Would invalidate it: a second worker
// where the name says one, the compiler seeing through the loop (the answers are checked), for the
// contended cases a machine that is busy otherwise.

#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/scope/scope.hpp>
#include <weft/runtime/time/sleep.hpp>
#include <weft/sync/locks/event.hpp>
#include <weft/sync/locks/latch.hpp>
#include <weft/sync/locks/mutex.hpp>
#include <weft/sync/locks/once.hpp>
#include <weft/sync/locks/semaphore.hpp>
#include <weft/sync/locks/shared_mutex.hpp>

#include <benchmark/benchmark.h>

#include <cstdint>

namespace {

using weft::task;

// So many that handing the work to the pool and waiting for it is less than a nanosecond of each.
constexpr std::int64_t batch = 100'000;

/// Runs `batch` operations per iteration and checks what they counted.
template <class Work>
void run(benchmark::State& state, unsigned workers, Work work) {
    weft::thread_pool pool({.workers = workers});
    for (auto _ : state) {
        if (pool.block_on(work()) != batch) {
            state.SkipWithError("wrong count");
            return;
        }
    }
    state.SetItemsProcessed(state.iterations() * batch);
}

void mutex_lock(benchmark::State& state) {
    weft::mutex mutex;
    run(state, 1, [&]() -> task<std::int64_t> {
        std::int64_t sum = 0;
        for (std::int64_t i = 0; i < batch; ++i) {
            co_await mutex.lock();
            ++sum;
            mutex.unlock();
        }
        co_return sum;
    });
}

void mutex_scoped_lock(benchmark::State& state) {
    weft::mutex mutex;
    run(state, 1, [&]() -> task<std::int64_t> {
        std::int64_t sum = 0;
        for (std::int64_t i = 0; i < batch; ++i) {
            auto const guard = co_await mutex.scoped_lock();
            ++sum;
        }
        co_return sum;
    });
}

void shared_mutex_lock_shared(benchmark::State& state) {
    weft::shared_mutex mutex;
    run(state, 1, [&]() -> task<std::int64_t> {
        std::int64_t sum = 0;
        for (std::int64_t i = 0; i < batch; ++i) {
            co_await mutex.lock_shared();
            ++sum;
            mutex.unlock_shared();
        }
        co_return sum;
    });
}

void semaphore_acquire(benchmark::State& state) {
    weft::semaphore semaphore(4);
    run(state, 1, [&]() -> task<std::int64_t> {
        std::int64_t sum = 0;
        for (std::int64_t i = 0; i < batch; ++i) {
            co_await semaphore.acquire();
            ++sum;
            semaphore.release();
        }
        co_return sum;
    });
}

void event_set_and_wait(benchmark::State& state) {
    weft::auto_reset_event event;
    run(state, 1, [&]() -> task<std::int64_t> {
        std::int64_t sum = 0;
        for (std::int64_t i = 0; i < batch; ++i) {
            event.set();
            co_await event.wait();
            ++sum;
        }
        co_return sum;
    });
}

void once_done(benchmark::State& state) {
    weft::lazy value([]() -> task<std::int64_t> { co_return 1; });
    run(state, 1, [&]() -> task<std::int64_t> {
        std::int64_t sum = 0;
        for (std::int64_t i = 0; i < batch; ++i) {
            sum += co_await value.value();
        }
        co_return sum;
    });
}

/// The work of one of several tasks that share it.
template <class Share>
void run_shared(benchmark::State& state, std::int64_t tasks, Share share) {
    run(state, static_cast<unsigned>(state.range(0)), [&]() -> task<std::int64_t> {
        std::int64_t sum = 0;
        auto body = [&](weft::nursery& n) -> task<> {
            for (std::int64_t i = 0; i < tasks; ++i) {
                n.spawn(share(batch / tasks, sum));
            }
            co_return;
        };
        co_await weft::scope(body);
        co_return sum;
    });
}

void mutex_contended(benchmark::State& state) {
    weft::mutex mutex;
    run_shared(state, 4, [&](std::int64_t rounds, std::int64_t& sum) -> task<> {
        for (std::int64_t i = 0; i < rounds; ++i) {
            auto const guard = co_await mutex.scoped_lock();
            ++sum;
            co_await weft::yield();  // the others come meanwhile: every lock is handed over
        }
    });
}

void mutex_shared_by_two(benchmark::State& state) {
    weft::mutex mutex;
    run_shared(state, 2, [&](std::int64_t rounds, std::int64_t& sum) -> task<> {
        for (std::int64_t i = 0; i < rounds; ++i) {
            auto const guard = co_await mutex.scoped_lock();
            ++sum;
        }
    });
}

void semaphore_contended(benchmark::State& state) {
    weft::semaphore semaphore(1);
    run_shared(state, 4, [&](std::int64_t rounds, std::int64_t& sum) -> task<> {
        for (std::int64_t i = 0; i < rounds; ++i) {
            auto const permit = co_await semaphore.scoped_acquire();
            ++sum;
            co_await weft::yield();
        }
    });
}

void event_ping_pong(benchmark::State& state) {
    weft::auto_reset_event turns[2];
    run(state, static_cast<unsigned>(state.range(0)), [&]() -> task<std::int64_t> {
        std::int64_t sum = 0;
        auto player = [&](weft::auto_reset_event& mine, weft::auto_reset_event& other) -> task<> {
            for (std::int64_t i = 0; i < batch / 2; ++i) {
                co_await mine.wait();
                ++sum;
                other.set();
            }
        };
        auto body = [&](weft::nursery& n) -> task<> {
            n.spawn(player(turns[0], turns[1]));
            n.spawn(player(turns[1], turns[0]));
            turns[0].set();
            co_return;
        };
        co_await weft::scope(body);
        turns[0].reset();
        co_return sum;
    });
}

constexpr std::int64_t crowd = 10'000;

void event_wakes_many(benchmark::State& state) {
    weft::thread_pool pool({.workers = static_cast<unsigned>(state.range(0))});
    for (auto _ : state) {
        weft::manual_reset_event event;
        weft::latch passed(crowd);
        auto waits = [&]() -> task<> {
            co_await event.wait();
            passed.count_down();
        };
        auto work = [&]() -> task<> {
            auto body = [&](weft::nursery& n) -> task<> {
                for (std::int64_t i = 0; i < crowd; ++i) {
                    n.spawn(waits());
                }
                co_await weft::yield();
                event.set();
                co_await passed.wait();
            };
            co_await weft::scope(body);
        };
        pool.block_on(work());
        if (!passed.is_open()) {
            state.SkipWithError("somebody did not pass");
            return;
        }
    }
    state.SetItemsProcessed(state.iterations() * crowd);
}

BENCHMARK(mutex_lock)->Name("mutex/lock_and_unlock")->UseRealTime();
BENCHMARK(mutex_scoped_lock)->Name("mutex/scoped_lock")->UseRealTime();
BENCHMARK(shared_mutex_lock_shared)->Name("shared_mutex/lock_shared_and_unlock")->UseRealTime();
BENCHMARK(semaphore_acquire)->Name("semaphore/acquire_and_release")->UseRealTime();
BENCHMARK(event_set_and_wait)->Name("auto_reset_event/set_and_wait")->UseRealTime();
BENCHMARK(once_done)->Name("lazy/value_that_is_there")->UseRealTime();
BENCHMARK(mutex_contended)
    ->Name("mutex/handed_over/tasks:4")
    ->ArgName("workers")
    ->Arg(1)
    ->Arg(2)
    ->UseRealTime();
BENCHMARK(mutex_shared_by_two)
    ->Name("mutex/scoped_lock/tasks:2")
    ->ArgName("workers")
    ->Arg(2)
    ->UseRealTime();
BENCHMARK(semaphore_contended)
    ->Name("semaphore/handed_over/tasks:4")
    ->ArgName("workers")
    ->Arg(1)
    ->Arg(2)
    ->UseRealTime();
BENCHMARK(event_ping_pong)
    ->Name("auto_reset_event/ping_pong")
    ->ArgName("workers")
    ->Arg(1)
    ->Arg(2)
    ->UseRealTime();
BENCHMARK(event_wakes_many)
    ->Name("manual_reset_event/spawn_wait_and_wake")
    ->ArgName("workers")
    ->Arg(1)
    ->Arg(2)
    ->UseRealTime();

}  // namespace

BENCHMARK_MAIN();
