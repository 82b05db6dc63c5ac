// Question: what do a fork and a join cost? Each task forks two that do nothing but the same.
// Excluded: starting the workers. Would invalidate it: more workers than idle CPUs.

#include <weft/bench/forkjoin/problems/fib.hpp>

#include <weft/bench/forkjoin/harness.hpp>
#include <weft/runtime/join/when_all.hpp>
#include <weft/runtime/pool/thread_pool.hpp>

#include <cstdint>

namespace {

weft::task<std::uint64_t> fib(std::uint64_t n) {
    if (n < 2) {
        co_return n;
    }
    auto const [one, two] = co_await weft::when_all(fib(n - 1), fib(n - 2));
    co_return one + two;
}

}  // namespace

int main(int argc, char** argv) {
    auto const options =
        forkjoin::read_options(argc, argv, forkjoin::fib_size, forkjoin::fib_size_max);
    weft::thread_pool pool({.workers = options.workers});
    return forkjoin::measure(
        "weft",
        "fib",
        options,
        [&] { return pool.block_on(fib(options.size)); },
        [&](std::uint64_t answer) { return answer == forkjoin::fibonacci_number(options.size); });
}
