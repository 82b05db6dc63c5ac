// The question of bench/forkjoin/nqueens.cpp, put to oneTBB.

#include <weft/bench/forkjoin/problems/nqueens.hpp>

#include <weft/bench/forkjoin/harness.hpp>
#include <weft/bench/peers/tbb/pool.hpp>

#include <array>
#include <cstdint>
#include <numeric>

#include <tbb/task_group.h>

namespace {

std::uint64_t solutions(forkjoin::board const& queens) {
    if (queens.is_full()) {
        return 1;
    }
    std::array<std::uint64_t, forkjoin::nqueens_size_max> counts{};
    tbb::task_group children;
    for (unsigned row = 0; row < queens.size(); ++row) {
        if (queens.admits(row)) {
            children.run(
                [&count = counts[row], next = queens.with(row)] { count = solutions(next); });
        }
    }
    children.wait();
    return std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
}

}  // namespace

int main(int argc, char** argv) {
    auto const options =
        forkjoin::read_options(argc, argv, forkjoin::nqueens_size, forkjoin::nqueens_size_max);
    tbb_peer::pool pool(options.workers);
    return forkjoin::measure(
        "tbb",
        "nqueens",
        options,
        [&] { return pool.run([&] { return solutions(forkjoin::board(options.size)); }); },
        [&](std::uint64_t answer) { return answer == forkjoin::nqueens_solutions(options.size); });
}
