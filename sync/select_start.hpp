#pragma once

/// Where a select that has no bias begins to look, so that no branch is favoured for long. Models
/// have a choice in its place.

#include <weft/runtime/base/config.hpp>

#include <cstdint>

namespace weft::detail {

/// Requires: `count` > 0. Gives a number below it.
[[nodiscard]] WEFT_NOINLINE inline std::uint32_t select_start(std::uint32_t count) noexcept {
    thread_local std::uint32_t next = 0;
    return next++ % count;
}

}  // namespace weft::detail
