// Question: how long until a runtime at rest does something? Measured from a foreign thread's spawn
// to the task's first statement, for the pool and for the runtime with its I/O driver (WEFT_DRIVER
// chooses it); and with two workers or more, from a fork to the first statement of the child that a
// sleeping worker has to be woken for and to steal, and from the last statement of a task on a
// worker that is awake to the first one of the child that it then steals. Excluded: what comes
// before and after; a pause before each sample lets the workers fall asleep. Would invalidate it:
// busy CPUs; a CPU that leaves a deep idle state first tells more of itself than of the runtime.
//
// --size is the number of samples per repetition. The figures are in microseconds, over all
// repetitions.

#include <weft/bench/forkjoin/harness.hpp>
#include <weft/io/runtime.hpp>
#include <weft/runtime/join/when_all.hpp>
#include <weft/runtime/pool/thread_pool.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

namespace {

using clock = std::chrono::steady_clock;

constexpr std::chrono::microseconds rest{200};
constexpr std::chrono::seconds patience{1};

double microseconds(clock::duration duration) {
    return std::chrono::duration<double, std::micro>(duration).count();
}

/// A moment that one thread records and another waits for, again and again. It outlives the runtime
/// whose tasks record it, for the waiter may go on while the recorder still notifies.
class moment {
public:
    void clear() { recorded_.store(false, std::memory_order_relaxed); }

    void record() {
        time_ = clock::now();
        recorded_.store(true, std::memory_order_release);
        recorded_.notify_one();
    }

    [[nodiscard]] bool is_recorded() const { return recorded_.load(std::memory_order_acquire); }

    clock::time_point wait() const {
        recorded_.wait(false, std::memory_order_acquire);
        return time_;
    }

private:
    clock::time_point time_;
    std::atomic<bool> recorded_ = false;
};

weft::task<> record(moment& begin) {
    begin.record();
    co_return;
}

double wake_latency(weft::runtime_base& runtime, moment& begin) {
    begin.clear();
    std::this_thread::sleep_for(rest);
    auto const posted = clock::now();
    runtime.spawn(record(begin));
    return microseconds(begin.wait() - posted);
}

weft::task<> keep_worker_busy(moment const& until) {
    auto const start = clock::now();
    while (!until.is_recorded() && clock::now() - start < patience) {
    }
    co_return;
}

weft::task<double> fork_one(moment& begin) {
    auto const start = clock::now();
    while (clock::now() - start < rest) {
    }
    auto const forked = clock::now();
    co_await weft::when_all(keep_worker_busy(begin), record(begin));
    co_return microseconds(begin.wait() - forked);
}

void require_theft(bool was_stolen) {
    if (!was_stolen) {
        std::fprintf(stderr, "wake: nobody stole a forked task\n");
        std::exit(1);
    }
}

double steal_latency(weft::runtime_base& runtime, moment& begin) {
    begin.clear();
    double const latency = runtime.block_on(fork_one(begin));
    require_theft(latency < microseconds(patience));
    return latency;
}

/// A worker is busy until there is something to steal, and then has nothing else to do.
class theft {
public:
    weft::task<> run() { co_await weft::when_all(fork_beside_thief(), occupy_thief()); }

    [[nodiscard]] bool was_committed() const {
        return stolen_on_ != std::thread::id() && stolen_on_ == thief_ && stolen_on_ != forked_on_;
    }

    [[nodiscard]] clock::duration latency() const { return stolen_at_ - thief_free_at_; }

private:
    static void wait_for(std::atomic<bool> const& flag) {
        auto const start = clock::now();
        while (!flag.load(std::memory_order_acquire) && clock::now() - start < patience) {
        }
    }

    weft::task<> occupy_thief() {
        thief_ = std::this_thread::get_id();
        is_thief_there_.store(true, std::memory_order_release);
        wait_for(is_forked_);
        thief_free_at_ = clock::now();
        co_return;
    }

    weft::task<> fork_beside_thief() {
        wait_for(is_thief_there_);
        co_await weft::when_all(let_thief_go(), be_stolen());
    }

    weft::task<> let_thief_go() {
        forked_on_ = std::this_thread::get_id();
        is_forked_.store(true, std::memory_order_release);
        wait_for(is_stolen_);
        co_return;
    }

    weft::task<> be_stolen() {
        stolen_at_ = clock::now();
        stolen_on_ = std::this_thread::get_id();
        is_stolen_.store(true, std::memory_order_release);
        co_return;
    }

    std::atomic<bool> is_thief_there_ = false;
    std::atomic<bool> is_forked_ = false;
    std::atomic<bool> is_stolen_ = false;
    std::thread::id thief_;
    std::thread::id forked_on_;
    std::thread::id stolen_on_;
    clock::time_point thief_free_at_;
    clock::time_point stolen_at_;
};

double awake_steal_latency(weft::runtime_base& runtime) {
    theft seen;
    runtime.block_on(seen.run());
    require_theft(seen.was_committed());
    return microseconds(seen.latency());
}

/// Adds median and 99th percentile.
void report(forkjoin::json_line& line, std::string const& name, std::vector<double> samples) {
    std::sort(samples.begin(), samples.end());
    line.add((name + "_us_median").c_str(), samples[samples.size() / 2]);
    line.add((name + "_us_p99").c_str(), samples[samples.size() * 99 / 100]);
}

template <class Measure>
std::vector<double> take_samples(forkjoin::options const& options, Measure measure_one) {
    std::vector<double> samples(static_cast<std::size_t>(options.size * options.repetitions));
    std::generate(samples.begin(), samples.end(), measure_one);
    return samples;
}

}  // namespace

int main(int argc, char** argv) {
    auto const options = forkjoin::read_options(argc, argv, 1000, 1'000'000);
    forkjoin::json_line line = forkjoin::begin_report("weft", "wake", options);
    moment begin;
    {
        weft::runtime runtime({.workers = options.workers});
        line.add("driver", runtime.uses_uring() ? "uring" : "epoll");
        report(line, "runtime_wake", take_samples(options, [&] {
                   return wake_latency(runtime, begin);
               }));
    }
    weft::thread_pool pool({.workers = options.workers});
    report(line, "pool_wake", take_samples(options, [&] { return wake_latency(pool, begin); }));
    if (options.workers > 1) {
        report(
            line, "pool_steal", take_samples(options, [&] { return steal_latency(pool, begin); }));
        report(line, "pool_steal_awake", take_samples(options, [&] {
                   return awake_steal_latency(pool);
               }));
    }
    line.print();
    return 0;
}
