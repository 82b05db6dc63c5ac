#pragma once

/// How TCP sockets are set up.

#include <weft/runtime/base/time_span.hpp>

#include <optional>

namespace weft {

/// When the kernel asks a silent peer whether it is still there. It counts in seconds: fractions
/// are rounded up.
struct keepalive_options {
    time_span idle = detail::whole_seconds(60);      ///< silence before the first probe
    time_span interval = detail::whole_seconds(10);  ///< between probes
    unsigned probe_count = 5;  ///< unanswered probes before the connection breaks
};

/// Options of a connection.
struct stream_options {
    /// Small writes are sent at once instead of being held back for more data (TCP_NODELAY).
    bool no_delay = true;

    std::optional<keepalive_options> keepalive = std::nullopt;

    /// Bytes; 0 leaves the kernel's own sizing.
    int send_buffer_size = 0;
    int receive_buffer_size = 0;
};

/// Options of a listening socket.
struct listen_options {
    /// Connections that wait to be accepted; the kernel's limit net.core.somaxconn applies too.
    int backlog = 4096;

    /// Bind although connections of an earlier listener linger (SO_REUSEADDR).
    bool reuse_address = true;

    /// Several listeners on one port; the kernel spreads connections among them (SO_REUSEPORT).
    bool reuse_port = false;

    /// An IPv6 listener takes no IPv4 connections.
    bool v6_only = false;

    /// What accepted connections start with.
    stream_options accepted = stream_options();
};

}  // namespace weft
