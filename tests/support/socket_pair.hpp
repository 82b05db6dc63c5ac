#pragma once

#include <weft/runtime/values/unique_fd.hpp>

#include <doctest/doctest.h>

#include <sys/socket.h>

namespace weft::test {

/// Two connected stream sockets, close-on-exec and not blocking: what is written to one is read
/// from the other.
struct socket_pair {
    socket_pair() {
        int fds[2];
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0);
        near.reset(fds[0]);
        far.reset(fds[1]);
    }

    unique_fd near;
    unique_fd far;
};

}  // namespace weft::test
