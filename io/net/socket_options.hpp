#pragma once

/// How TCP sockets are set up.

#include <optional>

namespace weft {

/// When the kernel asks a silent peer whether it is still there.
class keepalive_options {
public:
    keepalive_options() noexcept {}

    keepalive_options(unsigned idle, unsigned interval, unsigned probes) noexcept
        : idle_seconds(idle)
        , interval_seconds(interval)
        , probe_count(probes) {}

    unsigned idle_seconds = 60;      ///< silence before the first probe
    unsigned interval_seconds = 10;  ///< between probes
    unsigned probe_count = 5;        ///< unanswered probes before the connection breaks
};

/// Options of a connection.
class stream_options {
public:
    stream_options() noexcept {}

    /// Small writes are sent at once instead of being held back for more data (TCP_NODELAY).
    bool no_delay = true;

    std::optional<keepalive_options> keepalive;

    /// Bytes; 0 leaves the kernel's own sizing.
    int send_buffer_size = 0;
    int receive_buffer_size = 0;
};

/// Options of a listening socket.
class listen_options {
public:
    listen_options() noexcept {}

    /// Connections that wait to be accepted; the kernel's limit net.core.somaxconn applies too.
    int backlog = 4096;

    /// Bind although connections of an earlier listener linger (SO_REUSEADDR).
    bool reuse_address = true;

    /// Several listeners on one port; the kernel spreads connections among them (SO_REUSEPORT).
    bool reuse_port = false;

    /// An IPv6 listener takes no IPv4 connections.
    bool v6_only = false;

    /// What accepted connections start with.
    stream_options accepted;
};

}  // namespace weft
