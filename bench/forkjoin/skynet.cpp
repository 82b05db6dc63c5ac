// Question: what does a wide join cost? Each node of a tree joins ten children, given as a row.
// Excluded: starting the workers. Would invalidate it: more workers than idle CPUs.

#include <weft/bench/forkjoin/problems/skynet.hpp>

#include <weft/bench/forkjoin/harness.hpp>
#include <weft/runtime/join/when_all.hpp>
#include <weft/runtime/pool/thread_pool.hpp>

#include <array>
#include <cstdint>
#include <numeric>
#include <span>

namespace {

weft::task<std::uint64_t> skynet(std::uint64_t first, std::uint64_t leaves) {
    if (leaves == 1) {
        co_return first;
    }
    std::uint64_t const each = leaves / forkjoin::skynet_fan_out;
    weft::inline_tasks<std::uint64_t, forkjoin::skynet_fan_out> children;
    std::array<std::uint64_t, forkjoin::skynet_fan_out> sums;
    for (std::uint64_t i = 0; i < forkjoin::skynet_fan_out; ++i) {
        children.push_back(skynet(first + i * each, each));
    }
    co_await weft::when_all(children.tasks(), std::span(sums));
    co_return std::accumulate(sums.begin(), sums.end(), std::uint64_t{0});
}

}  // namespace

int main(int argc, char** argv) {
    auto const options =
        forkjoin::read_options(argc, argv, forkjoin::skynet_size, forkjoin::skynet_size_max);
    if (!forkjoin::is_skynet_size(options.size)) {
        forkjoin::refuse_size(argv[0], "a power of ten");
    }
    weft::thread_pool pool({.workers = options.workers});
    return forkjoin::measure(
        "weft",
        "skynet",
        options,
        [&] { return pool.block_on(skynet(0, options.size)); },
        [&](std::uint64_t answer) { return answer == forkjoin::skynet_sum(options.size); });
}
