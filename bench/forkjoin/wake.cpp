// Question: how long until a runtime at rest does something? Measured from a foreign thread's spawn
// to the task's first statement, for the pool and for the runtime with its I/O driver (WEFT_DRIVER
// chooses it); and with two workers or more, from a fork to the first statement of the child that a
// sleeping worker has to be woken for and to steal. Excluded: what comes before and after; a pause
// before each sample lets the workers fall asleep. Would invalidate it: busy CPUs; a CPU that
// leaves a deep idle state first tells more of itself than of the runtime.
//
// --size is the number of samples per repetition. The figures are in microseconds, over all
// repetitions.

#include <weft/bench/forkjoin/harness.hpp>
#include <weft/io/runtime.hpp>
#include <weft/runtime/thread_pool.hpp>
#include <weft/runtime/when_all.hpp>

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

double steal_latency(weft::runtime_base& runtime, moment& begin) {
    begin.clear();
    double const latency = runtime.block_on(fork_one(begin));
    if (latency >= microseconds(patience)) {
        std::fprintf(stderr, "wake: nobody stole a forked task\n");
        std::exit(1);
    }
    return latency;
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
        weft::runtime_options how;
        how.workers = options.workers;
        weft::runtime runtime(how);
        line.add("driver", runtime.uses_uring() ? "uring" : "epoll");
        report(line, "runtime_wake", take_samples(options, [&] {
                   return wake_latency(runtime, begin);
               }));
    }
    weft::thread_pool pool(options.workers);
    report(line, "pool_wake", take_samples(options, [&] { return wake_latency(pool, begin); }));
    if (options.workers > 1) {
        report(
            line, "pool_steal", take_samples(options, [&] { return steal_latency(pool, begin); }));
    }
    line.print();
    return 0;
}
