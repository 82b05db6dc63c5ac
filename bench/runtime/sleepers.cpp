// Question: what does a million sleeping tasks cost: memory, time to start, time to cancel and
// join? Excluded: the time to build the runtime. Would invalidate it: a system allocator that had
// grown before the measurement (the program does nothing else).
//
// Usage: sleepers [TASKS] [WORKERS]. Prints one figure a line.

#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/scope/scope.hpp>
#include <weft/runtime/time/sleep.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include <unistd.h>

namespace {

using weft::task;

task<> sleeper(std::atomic<std::size_t>& asleep) {
    ++asleep;
    co_await weft::sleep_for(std::chrono::hours(24));
    std::abort();
}

std::size_t resident_bytes() {
    std::size_t size = 0;
    std::size_t resident = 0;
    if (std::FILE* const file = std::fopen("/proc/self/statm", "r"); file != nullptr) {
        if (std::fscanf(file, "%zu %zu", &size, &resident) != 2) {
            resident = 0;
        }
        std::fclose(file);
    }
    return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

double seconds_since(weft::clock::time_point start) {
    return std::chrono::duration<double>(weft::clock::now() - start).count();
}

task<> start_all(std::size_t count, std::atomic<std::size_t>& asleep) {
    for (std::size_t i = 0; i < count; ++i) {
        weft::spawn(sleeper(asleep));
        if (i % 128 == 127) {
            co_await weft::yield();
        }
    }
}

}  // namespace

int main(int argc, char** argv) {
    std::size_t const count = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1'000'000;
    auto const workers = static_cast<unsigned>(argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 1);
    if (count == 0 || workers == 0) {
        std::fprintf(stderr, "usage: sleepers [TASKS] [WORKERS]\n");
        return 2;
    }
    std::atomic<std::size_t> asleep = 0;
    auto stopped = weft::clock::now();
    {
        weft::thread_pool pool({.workers = workers});
        std::size_t const before = resident_bytes();
        auto const start = weft::clock::now();
        pool.block_on(start_all(count, asleep));
        while (asleep != count) {
            std::this_thread::yield();
        }
        std::printf("start_seconds: %.3f\n", seconds_since(start));
        std::printf("bytes_per_task: %.0f\n",
                    static_cast<double>(resident_bytes() - before) / static_cast<double>(count));
        stopped = weft::clock::now();
    }
    std::printf("cancel_and_join_seconds: %.3f\n", seconds_since(stopped));
    return 0;
}
