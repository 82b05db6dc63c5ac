// Question: how fast is the echo server that asio's users write: C++20 coroutines over the epoll
// reactor, asio's default? Excluded: asio's io_uring back end, and the type-erased executor of
// asio's default socket (the concrete one is faster). Would invalidate it: a load generator that is
// the bottleneck or shares the server's CPU; a comparison of different thread counts.

#include <weft/bench/baseline/options.hpp>
#include <weft/bench/baseline/sockets.hpp>
#include <weft/bench/peers/asio/echo_server.hpp>
#include <weft/bench/peers/asio/library.hpp>

#include <csignal>
#include <thread>
#include <vector>

// NOLINTNEXTLINE(bugprone-exception-escape): an exception is to end the process
int main(int argc, char** argv) {
    auto const options = baseline::read_echo_options(argc, argv, /*threads_max=*/256);
    // 1 lets asio leave out the wake-ups between threads.
    asio::io_context context(static_cast<int>(options.threads));
    asio::signal_set end_signals(context, SIGINT, SIGTERM);
    end_signals.async_wait([&context](asio::error_code, int) { context.stop(); });
    asio_peer::acceptor listener(
        context, asio_peer::tcp::endpoint(asio::ip::address_v4::loopback(), options.port));
    baseline::announce(listener.local_endpoint().port());
    asio_peer::start_echo_server(listener);

    std::vector<std::jthread> others;
    for (unsigned i = 1; i < options.threads; ++i) {
        others.emplace_back([&context] { context.run(); });
    }
    context.run();
    return 0;
}
