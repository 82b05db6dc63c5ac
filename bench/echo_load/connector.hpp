#pragma once

#include <weft/bench/echo_load/file_descriptor.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <netinet/in.h>
#include <sys/socket.h>

namespace echo_load {

/// Lifts the limit of open descriptors to the hard limit and gives it.
std::size_t raise_descriptor_limit() noexcept;

/// Opens connections to one server, one after the other.
///
/// Errors are thrown as std::runtime_error with the reason.
class connector {
public:
    /// Looks the name up. `patience` is how long one connection may take to be accepted.
    connector(std::string const& host, std::uint16_t port, std::chrono::nanoseconds patience);

    /// Connects, and tries again while the server refuses. The sockets are nonblocking, without
    /// Nagle's delay.
    std::vector<file_descriptor> open(std::size_t count);

    /// The same for connections that are only held. To a server in 127/8, the source address goes
    /// round 127.0.0.2 to 127.0.0.251, so that the ports of one address do not bound their number.
    std::vector<file_descriptor> open_idle(std::size_t count);

private:
    struct endpoint {
        ::sockaddr_storage address{};
        ::socklen_t size = 0;
    };

    file_descriptor open_one(::sockaddr_in const* source);
    int try_once(file_descriptor& socket,
                 ::sockaddr_in const* source,
                 std::chrono::nanoseconds left) const;
    bool is_loopback_v4() const noexcept;

    std::vector<endpoint> endpoints_;
    std::size_t chosen_ = 0;  // the endpoint that answered last
    std::chrono::nanoseconds patience_;
};

/// The number of sockets the server has closed, of those it should have left alone.
std::size_t count_closed(std::vector<file_descriptor> const& idle) noexcept;

}  // namespace echo_load
