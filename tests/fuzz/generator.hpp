#pragma once

/// Programs of a seed.

#include <weft/tests/fuzz/program.hpp>
#include <weft/tests/fuzz/world.hpp>

#include <cstdint>
#include <string_view>
#include <vector>

namespace weft::fuzz {

struct program {
    std::uint64_t seed = 0;
    family belongs_to = family::mixed;
    node root;
    std::int64_t stop_us = -1;  ///< a stop from outside; -1: none. In real time: in ns
    unsigned workers = 1;
};

/// The same for the same arguments. At most about `size` nodes.
[[nodiscard]] program make_program(std::uint64_t seed, setting where, unsigned size);

/// Makes the tree smaller: each cut names a node by its number. "7" puts a value in its place,
/// "7.1" its second child.
class cut {
public:
    unsigned node = 0;
    int child = -1;  ///< -1: none takes its place
};

[[nodiscard]] std::vector<cut> parse_cuts(std::string_view text);
[[nodiscard]] std::string text_of(std::vector<cut> const& cuts);
void apply(std::vector<cut> const& cuts, node& root);

}  // namespace weft::fuzz
