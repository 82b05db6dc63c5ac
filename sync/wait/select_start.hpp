#pragma once

/// Where a select that has no bias begins to ask: so that each branch has its turn, also where
/// several selects take turns on one worker. Models have a choice in its place.

#include <weft/runtime/base/config.hpp>

#include <cstdint>

namespace weft::detail {

/// Requires: `count` > 0. Gives a number below it.
[[nodiscard]] WEFT_NOINLINE inline std::uint32_t select_start(std::uint32_t count) noexcept {
    // Steps of the golden ratio: what remains of any fixed number of them is spread evenly, too.
    constexpr std::uint32_t step = 0x9e37'79b9;
    thread_local std::uint32_t next = 0;
    next += step;
    return static_cast<std::uint32_t>(std::uint64_t{next} * count >> 32);
}

}  // namespace weft::detail
