#pragma once

/// An operation as one non-blocking system call.

#include <weft/io/op.hpp>

#include <cstdint>

namespace weft::detail {

/// io_op::stage of a connection that is under way.
inline constexpr std::uint8_t direct_call_connecting = 1;

/// Bytes, a descriptor or 0; or -errno, where -EAGAIN says that the operation would have to wait.
[[nodiscard]] int direct_call(io_op& op) noexcept;

}  // namespace weft::detail
