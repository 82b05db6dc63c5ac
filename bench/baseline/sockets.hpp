#pragma once

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

namespace baseline {

/// Nothing in these programs outlives a failed system call.
[[noreturn]] inline void fail(char const* call, int error) {
    std::fprintf(stderr, "%s: %s\n", call, std::strerror(error));
    std::exit(1);
}

/// `result` of a call that reports failure by -1 and `errno`.
inline int checked(int result, char const* call) {
    if (result < 0) {
        fail(call, errno);
    }
    return result;
}

/// A file descriptor closed with its owner.
class owned_fd {
public:
    explicit owned_fd(int fd) noexcept : fd_(fd) {}

    ~owned_fd() { ::close(fd_); }

    owned_fd(owned_fd const&) = delete;
    owned_fd& operator=(owned_fd const&) = delete;

    [[nodiscard]] int value() const noexcept { return fd_; }

private:
    int const fd_;
};

inline ::sockaddr_in loopback(std::uint16_t port) {
    ::sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

inline void set_no_delay(int fd) {
    int const on = 1;
    checked(::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), "setsockopt");
}

/// A socket listening on the loopback address. Connections accepted from it inherit TCP_NODELAY.
/// `type_flags`: SOCK_NONBLOCK or 0.
[[nodiscard]] inline int listen_on_loopback(std::uint16_t port, int type_flags = 0) {
    int const fd = checked(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | type_flags, 0), "socket");
    int const on = 1;
    checked(::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), "setsockopt");
    set_no_delay(fd);
    auto const address = loopback(port);
    checked(::bind(fd, reinterpret_cast<::sockaddr const*>(&address), sizeof address), "bind");
    checked(::listen(fd, SOMAXCONN), "listen");
    return fd;
}

[[nodiscard]] inline std::uint16_t bound_port(int fd) {
    ::sockaddr_in address{};
    ::socklen_t size = sizeof address;
    checked(::getsockname(fd, reinterpret_cast<::sockaddr*>(&address), &size), "getsockname");
    return ntohs(address.sin_port);
}

/// A blocking socket connected to `port` on the loopback address, with TCP_NODELAY.
[[nodiscard]] inline int connect_to_loopback(std::uint16_t port) {
    int const fd = checked(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
    set_no_delay(fd);
    auto const address = loopback(port);
    checked(::connect(fd, reinterpret_cast<::sockaddr const*>(&address), sizeof address),
            "connect");
    return fd;
}

/// Tells whoever started the server where it listens.
inline void announce(std::uint16_t port) {
    std::printf("listening on 127.0.0.1:%u\n", static_cast<unsigned>(port));
    std::fflush(stdout);
}

/// A descriptor that becomes readable when SIGINT or SIGTERM arrives; neither ends the process any
/// more. Call it before any thread is started: threads inherit the mask.
[[nodiscard]] inline int end_signals() {
    ::sigset_t signals;
    ::sigemptyset(&signals);
    ::sigaddset(&signals, SIGINT);
    ::sigaddset(&signals, SIGTERM);
    checked(::sigprocmask(SIG_BLOCK, &signals, nullptr), "sigprocmask");
    return checked(::signalfd(-1, &signals, SFD_CLOEXEC), "signalfd");
}

/// A descriptor that becomes readable when `raise_event` is called on it.
[[nodiscard]] inline int make_event() {
    return checked(::eventfd(0, EFD_CLOEXEC), "eventfd");
}

inline void raise_event(int fd) {
    checked(::eventfd_write(fd, 1), "eventfd_write");
}

}  // namespace baseline
