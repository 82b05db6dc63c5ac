#pragma once

// A tree with ten children per node; each leaf gives its number, each node the sum of its children.

#include <cstdint>

namespace forkjoin {

inline constexpr std::uint64_t skynet_fan_out = 10;
inline constexpr std::uint64_t skynet_size = 100'000'000;  // leaves
inline constexpr std::uint64_t skynet_size_max = 1'000'000'000;

/// Whether the leaves fill a tree.
constexpr bool is_skynet_size(std::uint64_t leaves) noexcept {
    while (leaves % skynet_fan_out == 0 && leaves != 0) {
        leaves /= skynet_fan_out;
    }
    return leaves == 1;
}

constexpr std::uint64_t skynet_sum(std::uint64_t leaves) noexcept {
    return leaves * (leaves - 1) / 2;
}

}  // namespace forkjoin
