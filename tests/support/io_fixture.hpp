#pragma once

/// Connections to test with, and sockets whose other end does not belong to the library.

#include <weft/io/net/tcp.hpp>
#include <weft/io/runtime.hpp>
#include <weft/runtime/time/sleep.hpp>
#include <weft/runtime/values/unique_fd.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <cstddef>
#include <ostream>
#include <system_error>
#include <utility>
#include <vector>

#include <sys/socket.h>

namespace weft::test {

inline runtime_options with_workers(unsigned workers) {
    return {.workers = workers};
}

/// Runs the task that `body(runtime)` gives on a runtime of one worker, then on one of two.
template <class Body>
void on_one_and_two_workers(Body body) {
    for (unsigned const workers : {1U, 2U}) {
        CAPTURE(workers);
        runtime rt(with_workers(workers));
        rt.block_on(body(rt));
    }
}

/// Two connected streams.
struct stream_pair {
    stream_pair(tcp_stream a, tcp_stream b) noexcept : near(std::move(a)), far(std::move(b)) {}

    tcp_stream near;
    tcp_stream far;
};

/// Both ends start with the same options.
inline task<stream_pair> connected_pair(stream_options options = stream_options(),
                                        address at = address::loopback_v4(0)) {
    listen_options listening;
    listening.accepted = options;
    tcp_listener listener(at, listening);
    tcp_stream near = co_await tcp_stream::connect(listener.local_address(), options);
    tcp_stream far = co_await listener.accept();
    co_return stream_pair(std::move(near), std::move(far));
}

/// Lets what is ready on this worker run until it waits for something.
inline task<> let_others_run() {
    constexpr int turns = 16;
    for (int i = 0; i < turns; ++i) {
        co_await yield();
    }
}

/// A blocking socket that is connected to `peer`; none when that fails.
[[nodiscard]] inline unique_fd connect_foreign(address const& peer) {
    unique_fd fd(::socket(peer.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (fd && ::connect(fd.value(), peer.data(), peer.size()) != 0) {
        fd.reset();
    }
    return fd;
}

/// Closes a socket in such a way that its peer sees a reset.
inline void close_with_reset(unique_fd& fd) {
    ::linger const at_once{1, 0};
    CHECK(::setsockopt(fd.value(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) == 0);
    fd.reset();
}

/// A port on which nobody listens, for as long as the object lives.
class silent_port {
public:
    silent_port()
        : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0))
        , address_(address::loopback_v4(0)) {
        REQUIRE(fd_.value() >= 0);
        CHECK(::bind(fd_.value(), address_.data(), address_.size()) == 0);
        ::sockaddr_storage bound{};
        ::socklen_t length = sizeof bound;
        auto* const generic = reinterpret_cast<::sockaddr*>(&bound);
        CHECK(::getsockname(fd_.value(), generic, &length) == 0);
        address_ = address::from_sockaddr(generic, length).value();
    }

    [[nodiscard]] address const& where() const noexcept { return address_; }

private:
    unique_fd fd_;
    address address_;
};

[[nodiscard]] inline bool has_ipv6() {
    return tcp_listener::listen(address::loopback_v6(0)).has_value();
}

/// Bytes of which no two neighbouring blocks are alike.
[[nodiscard]] inline std::vector<unsigned char> patterned_bytes(std::size_t count) {
    std::vector<unsigned char> data(count);
    for (std::size_t i = 0; i < count; ++i) {
        data[i] = static_cast<unsigned char>(i * 7 + i / 251);
    }
    return data;
}

}  // namespace weft::test
