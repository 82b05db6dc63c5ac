// Question: what does the runtime add to tasks that work for microseconds and share a memory bus?
// Excluded: starting the workers, filling and checking the matrices. Would invalidate it: more
// workers than idle CPUs; other compiler flags than the peer's, for the arithmetic dominates.

#include <weft/bench/forkjoin/problems/matmul.hpp>

#include <weft/bench/forkjoin/harness.hpp>
#include <weft/runtime/join/when_all.hpp>
#include <weft/runtime/pool/thread_pool.hpp>

#include <cstddef>

namespace {

weft::task<> multiply(forkjoin::product work) {
    if (work.is_block()) {
        work.compute();
        co_return;
    }
    auto const first = work.first_step();
    co_await weft::when_all(
        multiply(first[0]), multiply(first[1]), multiply(first[2]), multiply(first[3]));
    auto const second = work.second_step();
    co_await weft::when_all(
        multiply(second[0]), multiply(second[1]), multiply(second[2]), multiply(second[3]));
}

}  // namespace

int main(int argc, char** argv) {
    auto const options =
        forkjoin::read_options(argc, argv, forkjoin::matmul_size, forkjoin::matmul_size_max);
    if (!forkjoin::multiplication::is_size(options.size)) {
        forkjoin::refuse_size(argv[0], "a power of two, 32 or more");
    }
    forkjoin::multiplication matrices(static_cast<std::size_t>(options.size));
    weft::thread_pool pool({.workers = options.workers});
    return forkjoin::measure(
        "weft",
        "matmul",
        options,
        [&] {
            pool.block_on(multiply(matrices.whole()));
            return true;
        },
        [&](bool) { return matrices.check_and_spoil(); });
}
