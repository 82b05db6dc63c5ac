// The question of bench/forkjoin/fib.cpp, put to oneTBB.

#include <weft/bench/forkjoin/problems/fib.hpp>

#include <weft/bench/forkjoin/harness.hpp>
#include <weft/bench/peers/tbb/pool.hpp>

#include <cstdint>

#include <tbb/task_group.h>

namespace {

std::uint64_t fib(std::uint64_t n) {
    if (n < 2) {
        return n;
    }
    std::uint64_t one = 0;
    tbb::task_group forked;
    forked.run([&one, n] { one = fib(n - 1); });
    std::uint64_t const two = fib(n - 2);
    forked.wait();
    return one + two;
}

}  // namespace

int main(int argc, char** argv) {
    auto const options =
        forkjoin::read_options(argc, argv, forkjoin::fib_size, forkjoin::fib_size_max);
    tbb_peer::pool pool(options.workers);
    return forkjoin::measure(
        "tbb",
        "fib",
        options,
        [&] { return pool.run([&] { return fib(options.size); }); },
        [&](std::uint64_t answer) { return answer == forkjoin::fibonacci_number(options.size); });
}
