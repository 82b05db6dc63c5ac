// Question: what does it cost to make one call on a thread that may block, and to come back with
// the answer, while many such threads have nothing to do? One call after the other, `--size` of
// them, each of which gives its own number. Excluded: making the threads. Would invalidate it:
// other load, since four switches of a thread are most of the answer.

#include <weft/bench/baseline/blocking_calls.hpp>
#include <weft/io/runtime.hpp>
#include <weft/runtime/pool/blocking.hpp>
#include <weft/runtime/ranges/for_each.hpp>

#include <barrier>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace {

using weft::task;

/// All threads at once, so that there are as many.
task<> make_threads(weft::blocking_pool& pool, unsigned threads) {
    std::barrier<> all(static_cast<std::ptrdiff_t>(threads));
    std::vector<unsigned> const numbers(threads);
    auto wait = [&](unsigned) { return weft::blocking(pool, [&] { all.arrive_and_wait(); }); };
    co_await weft::for_each(numbers, wait, {.limit = threads});
}

task<std::uint64_t> call_one_by_one(weft::blocking_pool& pool, std::uint64_t count) {
    std::uint64_t sum = 0;
    for (std::uint64_t i = 0; i < count; ++i) {
        auto call = [i] { return i; };
        sum += co_await weft::blocking(pool, call);
    }
    co_return sum;
}

}  // namespace

int main(int argc, char** argv) {
    auto const options = baseline::read_blocking_options(argc, argv, 100'000);
    weft::blocking_pool pool({.threads_max = options.threads});
    weft::runtime runtime({.workers = options.run.workers});
    runtime.block_on(make_threads(pool, options.threads));
    return forkjoin::measure(
        "weft",
        "blocking_trip",
        options.run,
        [&] { return runtime.block_on(call_one_by_one(pool, options.run.size)); },
        [&](std::uint64_t sum) { return sum == baseline::sum_below(options.run.size); });
}
