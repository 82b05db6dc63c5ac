// Divide and conquer on all processors: both halves of a range are summed at the same time.
// Run: parallel_sum

#include <weft/weft.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <numeric>
#include <span>
#include <vector>

namespace {

using numbers = std::span<std::uint64_t const>;

// Below this a loop is faster than two tasks.
constexpr std::size_t grain = 4096;

weft::task<std::uint64_t> sum(numbers range) {
    if (range.size() <= grain) {
        co_return std::accumulate(range.begin(), range.end(), std::uint64_t{0});
    }
    std::size_t const middle = range.size() / 2;
    auto const [left, right] =
        co_await weft::when_all(sum(range.first(middle)), sum(range.subspan(middle)));
    co_return left + right;
}

}  // namespace

int main() {
    std::vector<std::uint64_t> values(10'000'000);
    std::iota(values.begin(), values.end(), std::uint64_t{1});
    weft::thread_pool pool;  // only computes: no driver for I/O
    std::printf("%llu\n", static_cast<unsigned long long>(pool.block_on(sum(values))));
}
