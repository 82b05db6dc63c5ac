// The question of bench/runtime/blocking_trip.cpp, put to asio: its thread_pool, and coroutines on
// one io_context.

#include <weft/bench/baseline/blocking_calls.hpp>
#include <weft/bench/peers/asio/echo_server.hpp>
#include <weft/bench/peers/asio/library.hpp>
#include <weft/bench/peers/asio/pool_call.hpp>

#include <cstdint>

namespace {

asio_peer::task call_one_by_one(asio::thread_pool& pool, std::uint64_t count, std::uint64_t& sum) {
    for (std::uint64_t i = 0; i < count; ++i) {
        sum += co_await asio_peer::call_in(pool, [i] { return i; });
    }
}

}  // namespace

// NOLINTNEXTLINE(bugprone-exception-escape): an exception is to end the process
int main(int argc, char** argv) {
    auto const options = baseline::read_blocking_options(argc, argv, 100'000);
    asio::thread_pool pool(options.threads);
    return forkjoin::measure(
        "asio",
        "blocking_trip",
        options.run,
        [&] {
            asio::io_context context(1);
            std::uint64_t sum = 0;
            asio::co_spawn(
                context, call_one_by_one(pool, options.run.size, sum), asio_peer::rethrow);
            context.run();
            return sum;
        },
        [&](std::uint64_t sum) { return sum == baseline::sum_below(options.run.size); });
}
