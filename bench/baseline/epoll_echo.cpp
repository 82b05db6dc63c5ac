// Question: how fast is the echo server that a careful programmer writes straight on epoll?
// It is the floor under every readiness-based runtime and the alternative to io_uring itself.
// Excluded: more than one thread, busy polling. Would invalidate it: a load generator that is the
// bottleneck or shares the server's CPU.

#include <weft/bench/baseline/epoll_echo_server.hpp>
#include <weft/bench/baseline/options.hpp>
#include <weft/bench/baseline/sockets.hpp>

#include <sys/socket.h>

int main(int argc, char** argv) {
    auto const options = baseline::read_echo_options(argc, argv);
    baseline::owned_fd const end(baseline::end_signals());
    baseline::owned_fd const listener(baseline::listen_on_loopback(options.port, SOCK_NONBLOCK));
    baseline::announce(baseline::bound_port(listener.value()));
    baseline::epoll_echo_server(listener.value(), end.value()).run();
    return 0;
}
