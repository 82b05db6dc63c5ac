// Question: what does it cost to go from one ready task to the next? Two tasks for each worker give
// way to one another all the time. Excluded: starting the workers; waking and stealing, once the
// tasks are spread. Would invalidate it: more workers than idle CPUs.
//
// --size is the number of times that each task gives way; each is a switch.

#include <weft/bench/forkjoin/harness.hpp>
#include <weft/runtime/join/when_all.hpp>
#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/time/sleep.hpp>

#include <cstdint>
#include <numeric>
#include <vector>

namespace {

weft::task<std::uint64_t> gives_way(std::uint64_t times) {
    std::uint64_t done = 0;
    for (; done != times; ++done) {
        co_await weft::yield();
    }
    co_return done;
}

weft::task<std::uint64_t> switches(unsigned tasks, std::uint64_t times) {
    std::vector<weft::task<std::uint64_t>> all;
    for (unsigned i = 0; i != tasks; ++i) {
        all.push_back(gives_way(times));
    }
    auto const done = co_await weft::when_all(std::move(all));
    co_return std::accumulate(done.begin(), done.end(), std::uint64_t{0});
}

}  // namespace

int main(int argc, char** argv) {
    auto const options = forkjoin::read_options(argc, argv, 10'000'000, std::uint64_t{1} << 40);
    unsigned const tasks = 2 * options.workers;
    weft::thread_pool pool({.workers = options.workers});
    return forkjoin::measure(
        "weft",
        "switch",
        options,
        [&] { return pool.block_on(switches(tasks, options.size)); },
        [&](std::uint64_t done) { return done == tasks * options.size; });
}
