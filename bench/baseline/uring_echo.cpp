// Question: how fast is the echo server that a careful programmer writes straight on io_uring, with
// the operations weft uses (one-shot accept, recv and send)? The distance to it is what a runtime
// costs. Excluded: provided buffers, multishot and zero-copy operations, more than one thread.
// Would invalidate it: a load generator that is the bottleneck or shares the server's CPU; a kernel
// without IORING_SETUP_DEFER_TASKRUN (the program ends with an error there).

#include <weft/bench/baseline/options.hpp>
#include <weft/bench/baseline/sockets.hpp>
#include <weft/bench/baseline/uring_echo_server.hpp>

int main(int argc, char** argv) {
    auto const options = baseline::read_echo_options(argc, argv);
    baseline::owned_fd const end(baseline::end_signals());
    baseline::owned_fd const listener(baseline::listen_on_loopback(options.port));
    baseline::announce(baseline::bound_port(listener.value()));
    baseline::uring_echo_server(listener.value(), end.value()).run();
    return 0;
}
