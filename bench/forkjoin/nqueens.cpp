// Question: what does a search cost whose nodes have a few children each, found while it runs, and
// do a little work? Excluded: starting the workers. Would invalidate it: more workers than idle
// CPUs.

#include <weft/bench/forkjoin/problems/nqueens.hpp>

#include <weft/bench/forkjoin/harness.hpp>
#include <weft/runtime/join/when_all.hpp>
#include <weft/runtime/pool/thread_pool.hpp>

#include <array>
#include <cstdint>
#include <numeric>
#include <span>

namespace {

weft::task<std::uint64_t> solutions(forkjoin::board queens) {
    if (queens.is_full()) {
        co_return std::uint64_t{1};
    }
    weft::inline_tasks<std::uint64_t, forkjoin::nqueens_size_max> children;
    std::array<std::uint64_t, forkjoin::nqueens_size_max> counts;
    for (unsigned row = 0; row < queens.size(); ++row) {
        if (queens.admits(row)) {
            children.push_back(solutions(queens.with(row)));
        }
    }
    co_await weft::when_all(children.tasks(), std::span(counts));
    auto const found = std::span(counts).first(children.size());
    co_return std::accumulate(found.begin(), found.end(), std::uint64_t{0});
}

}  // namespace

int main(int argc, char** argv) {
    auto const options =
        forkjoin::read_options(argc, argv, forkjoin::nqueens_size, forkjoin::nqueens_size_max);
    weft::thread_pool pool({.workers = options.workers});
    return forkjoin::measure(
        "weft",
        "nqueens",
        options,
        [&] { return pool.block_on(solutions(forkjoin::board(options.size))); },
        [&](std::uint64_t answer) { return answer == forkjoin::nqueens_solutions(options.size); });
}
