#pragma once

/// Plain blocking sockets for the other end of a test.

#include <weft/io/base/address.hpp>
#include <weft/runtime/values/unique_fd.hpp>

#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include <netinet/in.h>
#include <sys/socket.h>

namespace weft::test {

/// Without its sockets no test can go on.
[[noreturn]] inline void give_up(char const* call) {
    std::perror(call);
    std::abort();
}

inline void require_call(bool succeeded, char const* call) {
    if (!succeeded) {
        give_up(call);
    }
}

[[nodiscard]] inline unique_fd plain_socket(int buffer_size = 0) {
    int const fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        give_up("socket");
    }
    unique_fd made(fd);
    if (buffer_size != 0) {
        int const value = buffer_size;
        require_call(
            ::setsockopt(made.value(), SOL_SOCKET, SO_RCVBUF, &value, sizeof value) == 0 &&
                ::setsockopt(made.value(), SOL_SOCKET, SO_SNDBUF, &value, sizeof value) == 0,
            "setsockopt");
    }
    return made;
}

/// The address that a socket is bound to.
[[nodiscard]] inline address bound_address(int fd) {
    ::sockaddr_in local{};
    ::socklen_t length = sizeof local;
    auto* const generic = reinterpret_cast<::sockaddr*>(&local);
    require_call(::getsockname(fd, generic, &length) == 0, "getsockname");
    return address::from_sockaddr(generic, length).value();
}

[[nodiscard]] inline unique_fd plain_listener(int backlog, int buffer_size = 0) {
    unique_fd made = plain_socket(buffer_size);
    address const local = address::loopback_v4(0);
    require_call(::bind(made.value(), local.data(), local.size()) == 0, "bind");
    require_call(::listen(made.value(), backlog) == 0, "listen");
    return made;
}

[[nodiscard]] inline unique_fd plain_connect(address const& peer, int buffer_size = 0) {
    unique_fd made = plain_socket(buffer_size);
    require_call(::connect(made.value(), peer.data(), peer.size()) == 0, "connect");
    return made;
}

/// The next connection, or nothing where the listener does not block and none waits.
[[nodiscard]] inline unique_fd plain_accept(int listener) {
    return unique_fd(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
}

/// Closing the socket resets the connection instead of leaving its port in TIME_WAIT.
inline void reset_on_close(int fd) {
    ::linger const now{1, 0};
    require_call(::setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now) == 0, "setsockopt");
}

/// Connects and hangs up. Who accepts the connection may reset it before this thread hears that it
/// is made.
inline void call_and_hang_up(address const& peer) {
    unique_fd const caller = plain_socket();
    require_call(::connect(caller.value(), peer.data(), peer.size()) == 0 || errno == ECONNRESET,
                 "connect");
    reset_on_close(caller.value());
}

/// A listener whose queue is full: who connects to it waits for more than a second.
class crowded_listener {
public:
    crowded_listener()
        : listener_(plain_listener(0))
        , guest_(plain_connect(bound_address(listener_.value()))) {}

    [[nodiscard]] address where() const { return bound_address(listener_.value()); }

private:
    unique_fd listener_;
    unique_fd guest_;
};

/// Two ends of one TCP connection.
struct tcp_pair {
    explicit tcp_pair(int buffer_size = 0) {
        unique_fd const listener = plain_listener(1, buffer_size);
        far = plain_connect(bound_address(listener.value()), buffer_size);
        near = plain_accept(listener.value());
        require_call(static_cast<bool>(near), "accept4");
        reset_on_close(far.value());
    }

    unique_fd near;
    unique_fd far;
};

}  // namespace weft::test
