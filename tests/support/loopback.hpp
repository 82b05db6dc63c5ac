#pragma once

/// Plain blocking sockets for the other end of a test.

#include <weft/io/address.hpp>
#include <weft/runtime/base/unique_fd.hpp>

#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

namespace weft::test {

/// Ends the program: without its sockets no test can go on.
inline void require_call(bool succeeded, char const* what) {
    if (!succeeded) {
        std::perror(what);
        std::abort();
    }
}

[[nodiscard]] inline unique_fd plain_socket(int buffer_size = 0) {
    unique_fd made(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    require_call(static_cast<bool>(made), "socket");
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

/// The next connection, or nothing when none waits. Closing it resets it, so that no port stays
/// behind in TIME_WAIT.
[[nodiscard]] inline unique_fd plain_accept(int listener) {
    unique_fd made(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
    return made;
}

/// Closing the socket resets the connection instead of leaving its port in TIME_WAIT.
inline void reset_on_close(int fd) {
    ::linger const now{1, 0};
    require_call(::setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now) == 0, "setsockopt");
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
