// Question: what does a task cost that is spawned into a scope among a million others, before any
// of them runs, and is joined with them? Excluded: the time to build the runtime. Would invalidate
// it: tasks that run while others are spawned (with one worker, none does). The first round also
// pays for the memory that later ones use again.
//
// Usage: spawn [TASKS] [WORKERS] [ROUNDS]. Prints one figure a line; processor time is that of the
// whole process, and says more on a busy machine.

#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/scope/scope.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <vector>

namespace {

using weft::task;
using count_of_ends = std::atomic<std::size_t>;

double processor_nanoseconds() {
    timespec time{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
}

double nanoseconds_since(std::chrono::steady_clock::time_point start) {
    return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - start)
        .count();
}

task<> end(count_of_ends& ended) {
    ended.fetch_add(1, std::memory_order_relaxed);
    co_return;
}

/// The nanoseconds until all were spawned.
task<double> spawn_and_join(std::size_t count, bool with_handles, count_of_ends& ended) {
    auto const start = std::chrono::steady_clock::now();
    double spawned = 0;
    auto body = [&](weft::nursery& children) -> task<> {
        for (std::size_t i = 0; i < count; ++i) {
            if (with_handles) {
                children.spawn(end(ended));  // and dropped
            } else {
                children.spawn_without_handle(end(ended));
            }
        }
        spawned = nanoseconds_since(start);
        co_return;
    };
    co_await weft::scope(body);
    co_return spawned;
}

/// Median and best, per task.
void report(char const* name, std::vector<double> sums, std::size_t count) {
    std::sort(sums.begin(), sums.end());
    auto const tasks = static_cast<double>(count);
    std::printf(
        "%s_ns: median %.1f, best %.1f\n", name, sums[sums.size() / 2] / tasks, sums[0] / tasks);
}

/// False when tasks were lost.
bool measure(weft::thread_pool& pool, std::size_t count, std::size_t rounds, bool with_handles) {
    std::vector<double> spawned;
    std::vector<double> joined;
    std::vector<double> used;
    for (std::size_t round = 0; round < rounds; ++round) {
        count_of_ends ended = 0;
        double const used_before = processor_nanoseconds();
        auto const start = std::chrono::steady_clock::now();
        spawned.push_back(pool.block_on(spawn_and_join(count, with_handles, ended)));
        joined.push_back(nanoseconds_since(start));
        used.push_back(processor_nanoseconds() - used_before);
        if (ended != count) {
            std::fprintf(stderr, "spawn: %zu of %zu tasks ended\n", ended.load(), count);
            return false;
        }
    }
    std::printf("%s a handle\n", with_handles ? "with" : "without");
    report("  spawn", spawned, count);
    report("  spawn_and_join", joined, count);
    report("  processor", used, count);
    return true;
}

}  // namespace

int main(int argc, char** argv) {
    std::size_t const count = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1'000'000;
    auto const workers = static_cast<unsigned>(argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 1);
    std::size_t const rounds = argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 9;
    if (count == 0 || workers == 0 || rounds == 0) {
        std::fprintf(stderr, "usage: spawn [TASKS] [WORKERS] [ROUNDS]\n");
        return 2;
    }
    weft::thread_pool pool({.workers = workers});
    return measure(pool, count, rounds, false) && measure(pool, count, rounds, true) ? 0 : 1;
}
