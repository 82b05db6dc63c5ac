// Question: how fast is weft's echo server, on io_uring and on epoll? It answers on the same
// command line as bench/baseline/{uring,epoll}_echo.cpp and bench/peers/asio/echo.cpp; WEFT_DRIVER
// chooses the driver. Excluded: the load, which bench/echo_load makes from another process. Would
// invalidate it: comparing it on two workers with a server on one thread.
//
// Usage: echo [--port P] [--threads N]. Says where it listens; ends on SIGTERM or SIGINT.

#include <weft/bench/baseline/options.hpp>
#include <weft/bench/baseline/sockets.hpp>
#include <weft/bench/io/echo_session.hpp>
#include <weft/io/runtime.hpp>

#include <utility>

#include <sys/signalfd.h>
#include <unistd.h>

int main(int argc, char** argv) {
    auto const options = baseline::read_echo_options(argc, argv, 64);
    baseline::owned_fd const end(baseline::end_signals());  // before there are threads
    weft::runtime runtime({.workers = options.threads});
    weft::tcp_listener listener(weft::address::loopback_v4(options.port));
    baseline::announce(listener.local_address().port());
    runtime.spawn(weft::bench::accept_all(std::move(listener)));
    ::signalfd_siginfo signal;
    return ::read(end.value(), &signal, sizeof signal) == sizeof signal ? 0 : 1;
}
