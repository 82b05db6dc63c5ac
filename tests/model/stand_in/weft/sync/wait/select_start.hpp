#pragma once

/// Stands in front of the library's in models of coroutines: every start is explored.

#include <weft/tests/model/stepper.hpp>

#include <cstdint>

namespace weft::detail {

[[nodiscard]] inline std::uint32_t select_start(std::uint32_t count) noexcept {
    return static_cast<std::uint32_t>(model::choose(count));
}

}  // namespace weft::detail
