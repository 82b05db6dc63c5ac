// Question: how long does it take to hash `--size` small files with calls that block, one call for
// each file, 64 of them under way at once? Excluded: making the files, which are in the page cache
// then. Would invalidate it: other load, a temporary folder on a slow file system.

#include <weft/bench/baseline/blocking_calls.hpp>
#include <weft/io/runtime.hpp>
#include <weft/runtime/pool/blocking.hpp>
#include <weft/runtime/ranges/map_reduce.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace {

using weft::task;

task<std::uint64_t> hash_all(weft::blocking_pool& pool, std::vector<std::string> const& paths) {
    auto hash = [&](std::string const& path) {
        return weft::blocking(pool, [&path] { return baseline::hash_of_file(path); });
    };
    auto add = [](std::uint64_t left, std::uint64_t right) { return left + right; };
    return weft::map_reduce(paths, hash, std::uint64_t{0}, add, {.limit = baseline::calls_at_once});
}

}  // namespace

int main(int argc, char** argv) {
    auto const options = baseline::read_blocking_options(argc, argv, 24'000);
    baseline::small_files const files(options.run.size);
    weft::blocking_pool pool({.threads_max = options.threads});
    weft::runtime runtime({.workers = options.run.workers});
    return forkjoin::measure(
        "weft",
        "blocking_hash",
        options.run,
        [&] { return runtime.block_on(hash_all(pool, files.paths())); },
        [&](std::uint64_t sum) { return sum == files.sum(); });
}
