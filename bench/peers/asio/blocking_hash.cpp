// The question of bench/runtime/blocking_hash.cpp, put to asio: its thread_pool, and coroutines on
// one io_context.

#include <weft/bench/baseline/blocking_calls.hpp>
#include <weft/bench/peers/asio/echo_server.hpp>
#include <weft/bench/peers/asio/library.hpp>
#include <weft/bench/peers/asio/pool_call.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace {

struct progress {
    std::size_t next = 0;
    std::uint64_t sum = 0;
};

asio_peer::task hash_some(asio::thread_pool& pool,
                          std::vector<std::string> const& paths,
                          progress& all) {
    while (all.next != paths.size()) {
        std::string const* const path = &paths[all.next++];
        std::uint64_t const hash =
            co_await asio_peer::call_in(pool, [path] { return baseline::hash_of_file(*path); });
        all.sum += hash;
    }
}

}  // namespace

// NOLINTNEXTLINE(bugprone-exception-escape): an exception is to end the process
int main(int argc, char** argv) {
    auto const options = baseline::read_blocking_options(argc, argv, 24'000);
    baseline::small_files const files(options.run.size);
    asio::thread_pool pool(options.threads);
    return forkjoin::measure(
        "asio",
        "blocking_hash",
        options.run,
        [&] {
            asio::io_context context(1);
            progress all;
            for (std::size_t i = 0; i < baseline::calls_at_once; ++i) {
                asio::co_spawn(context, hash_some(pool, files.paths(), all), asio_peer::rethrow);
            }
            context.run();
            return all.sum;
        },
        [&](std::uint64_t sum) { return sum == files.sum(); });
}
