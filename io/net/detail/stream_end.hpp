#pragma once

/// How a stream has ended.

#include <cstdint>

namespace weft::detail {

/// How the peer's half of a TCP connection has ended.
enum class stream_end : std::uint8_t {
    orderly,  ///< by the peer's own end, or not at all
    none,     ///< the connection is gone, and the end of the stream never came: a reset, a time-out
    unknown,  ///< the kernel does not say
};

/// Asks the kernel, which answers the same however often, unlike a read: an error it tells once,
/// and what follows looks like an end. Takes no bytes and no error from the socket.
[[nodiscard]] stream_end end_of_stream(int fd) noexcept;

}  // namespace weft::detail
