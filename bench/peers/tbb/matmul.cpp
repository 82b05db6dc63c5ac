// The question of bench/forkjoin/matmul.cpp, put to oneTBB.

#include <weft/bench/forkjoin/problems/matmul.hpp>

#include <weft/bench/forkjoin/harness.hpp>
#include <weft/bench/peers/tbb/pool.hpp>

#include <array>
#include <cstddef>

#include <tbb/parallel_invoke.h>

namespace {

void multiply(forkjoin::product const& work);

void multiply_all(std::array<forkjoin::product, 4> const& step) {
    tbb::parallel_invoke([&] { multiply(step[0]); },
                         [&] { multiply(step[1]); },
                         [&] { multiply(step[2]); },
                         [&] { multiply(step[3]); });
}

void multiply(forkjoin::product const& work) {
    if (work.is_block()) {
        work.compute();
        return;
    }
    multiply_all(work.first_step());
    multiply_all(work.second_step());
}

}  // namespace

int main(int argc, char** argv) {
    auto const options =
        forkjoin::read_options(argc, argv, forkjoin::matmul_size, forkjoin::matmul_size_max);
    if (!forkjoin::multiplication::is_size(options.size)) {
        forkjoin::refuse_size(argv[0], "a power of two, 32 or more");
    }
    forkjoin::multiplication matrices(static_cast<std::size_t>(options.size));
    tbb_peer::pool pool(options.workers);
    return forkjoin::measure(
        "tbb",
        "matmul",
        options,
        [&] {
            pool.run([&] { multiply(matrices.whole()); });
            return true;
        },
        [&](bool) { return matrices.check_and_spoil(); });
}
