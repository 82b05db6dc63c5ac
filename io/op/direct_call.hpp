#pragma once

/// Operations, and questions about a socket, as non-blocking system calls.

#include <weft/io/op/op.hpp>

#include <cstddef>
#include <cstdint>

#include <limits.h>

namespace weft::detail {

/// io_op::stage of a connection that is under way.
inline constexpr std::uint8_t direct_call_connecting = 1;

/// How many bytes to ask for: the kernel transfers no more at once, a round number of pages below
/// INT_MAX.
[[nodiscard]] inline unsigned chunk(std::size_t length) noexcept {
    constexpr std::size_t chunk_size_max = 0x7fff'f000;
    return static_cast<unsigned>(length < chunk_size_max ? length : chunk_size_max);
}

/// How many vectors to ask for: the kernel takes no more at once.
[[nodiscard]] inline unsigned chunk_count(unsigned vectors) noexcept {
    return vectors < IOV_MAX ? vectors : IOV_MAX;
}

/// Bytes, a descriptor or 0; or -errno, where -EAGAIN says that the operation would have to wait.
[[nodiscard]] int direct_call(io_op& op) noexcept;

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
