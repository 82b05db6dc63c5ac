#pragma once

#include <cstdint>

namespace weft::detail {

/// CLOCK_MONOTONIC in nanoseconds, the real time of every driver that has one.
[[nodiscard]] std::uint64_t monotonic_ns() noexcept;

}  // namespace weft::detail
