// The question of bench/forkjoin/skynet.cpp, put to oneTBB.

#include <weft/bench/forkjoin/problems/skynet.hpp>

#include <weft/bench/forkjoin/harness.hpp>
#include <weft/bench/peers/tbb/pool.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <numeric>

#include <tbb/task_group.h>

namespace {

std::uint64_t skynet(std::uint64_t first, std::uint64_t leaves) {
    if (leaves == 1) {
        return first;
    }
    std::uint64_t const each = leaves / forkjoin::skynet_fan_out;
    std::array<std::uint64_t, forkjoin::skynet_fan_out> sums;
    tbb::task_group children;
    for (std::size_t i = 0; i < sums.size(); ++i) {
        children.run([&sums, i, first, each] { sums[i] = skynet(first + i * each, each); });
    }
    children.wait();
    return std::accumulate(sums.begin(), sums.end(), std::uint64_t{0});
}

}  // namespace

int main(int argc, char** argv) {
    auto const options =
        forkjoin::read_options(argc, argv, forkjoin::skynet_size, forkjoin::skynet_size_max);
    if (!forkjoin::is_skynet_size(options.size)) {
        forkjoin::refuse_size(argv[0], "a power of ten");
    }
    tbb_peer::pool pool(options.workers);
    return forkjoin::measure(
        "tbb",
        "skynet",
        options,
        [&] { return pool.run([&] { return skynet(0, options.size); }); },
        [&](std::uint64_t answer) { return answer == forkjoin::skynet_sum(options.size); });
}
