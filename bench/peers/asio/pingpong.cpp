// Question: what do request and reply cost when both ends are asio coroutines over the epoll
// reactor? A client and a server thread, each with its io_context, keep one message in flight on
// each of 20 loopback connections. Excluded: connection set-up, the warm-up, clock reads (a third,
// sleeping thread takes the times). Would invalidate it: fewer than two idle CPUs; comparing the
// CPU time per request of runs with different message sizes or connection counts, for both change
// how much is batched.

#include <weft/bench/baseline/pingpong.hpp>

#include <weft/bench/baseline/options.hpp>
#include <weft/bench/peers/asio/echo_server.hpp>
#include <weft/bench/peers/asio/library.hpp>

#include <cstddef>
#include <thread>
#include <utility>

namespace {

using asio_peer::use_awaitable;

asio_peer::task call_repeatedly(asio_peer::socket server,
                                std::size_t message_bytes,
                                baseline::measured_run& run) {
    baseline::exchange messages(message_bytes);
    while (!run.is_ending()) {
        messages.begin_round();
        auto const request = messages.unsent();
        co_await asio::async_write(
            server, asio::buffer(request.data(), request.size()), use_awaitable);
        bool complete = false;
        while (!complete) {
            auto const room = messages.missing();
            std::size_t const received_bytes = co_await server.async_read_some(
                asio::buffer(room.data(), room.size()), use_awaitable);
            complete = messages.add_received(received_bytes);
        }
        run.count_request();
    }
}

/// Its io_context runs out of work, and the client ends, when every connection has ended.
void run_client(asio_peer::tcp::endpoint const& where,
                baseline::pingpong_options const& options,
                baseline::measured_run& run) {
    asio::io_context context(1);
    for (unsigned i = 0; i < options.connections; ++i) {
        asio_peer::socket server(context);
        server.connect(where);
        server.set_option(asio_peer::tcp::no_delay(true));
        asio::co_spawn(context,
                       call_repeatedly(std::move(server), options.message_bytes, run),
                       asio_peer::rethrow);
    }
    context.run();
}

}  // namespace

// NOLINTNEXTLINE(bugprone-exception-escape): an exception is to end the process
int main(int argc, char** argv) {
    auto const options = baseline::read_pingpong_options(argc, argv);
    asio::io_context server_context(1);
    asio_peer::acceptor listener(server_context,
                                 asio_peer::tcp::endpoint(asio::ip::address_v4::loopback(), 0));
    asio_peer::start_echo_server(listener);

    baseline::measured_run run;
    auto const where = listener.local_endpoint();
    std::thread server([&] { server_context.run(); });
    std::thread client([&] { run_client(where, options, run); });
    run.measure(options);
    client.join();
    server_context.stop();
    server.join();
    run.report();
    return 0;
}
