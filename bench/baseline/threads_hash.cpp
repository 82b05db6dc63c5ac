// The question of bench/runtime/blocking_hash.cpp, put to plain threads that take the next file
// from a counter.

#include <weft/bench/baseline/blocking_calls.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

namespace {

std::uint64_t hash_all(std::vector<std::string> const& paths, unsigned threads) {
    std::atomic<std::size_t> next = 0;
    std::atomic<std::uint64_t> sum = 0;
    std::vector<std::thread> all;
    for (unsigned i = 0; i < threads; ++i) {
        all.emplace_back([&] {
            std::uint64_t own = 0;
            for (std::size_t file = 0; (file = next++) < paths.size();) {
                own += baseline::hash_of_file(paths[file]);
            }
            sum += own;
        });
    }
    for (std::thread& each : all) {
        each.join();
    }
    return sum;
}

}  // namespace

int main(int argc, char** argv) {
    auto const options = baseline::read_blocking_options(argc, argv, 24'000);
    baseline::small_files const files(options.run.size);
    return forkjoin::measure(
        "threads",
        "blocking_hash",
        options.run,
        [&] { return hash_all(files.paths(), options.threads); },
        [&](std::uint64_t sum) { return sum == files.sum(); });
}
