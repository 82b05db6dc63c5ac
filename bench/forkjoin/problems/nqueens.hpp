#pragma once

// Ways to place n queens on a board of n × n so that none attacks another: a search tree whose
// nodes have between none and n children, one queen per level.

#include <array>
#include <cstddef>
#include <cstdint>

namespace forkjoin {

inline constexpr std::uint64_t nqueens_size = 14;
inline constexpr std::uint64_t nqueens_size_max = 16;

/// A board whose first columns hold a queen each.
class board {
public:
    explicit board(std::uint64_t size) noexcept : size_(static_cast<std::uint8_t>(size)) {}

    [[nodiscard]] unsigned size() const noexcept { return size_; }

    [[nodiscard]] bool is_full() const noexcept { return filled_ == size_; }

    /// Whether the next column's queen may stand in `row`.
    [[nodiscard]] bool admits(unsigned row) const noexcept {
        int const wanted = static_cast<int>(row);
        for (unsigned column = 0; column < filled_; ++column) {
            int const taken = rows_[column];
            int const distance = static_cast<int>(filled_ - column);
            if (wanted == taken || wanted == taken + distance || wanted == taken - distance) {
                return false;
            }
        }
        return true;
    }

    /// This board with the next column's queen in `row`.
    [[nodiscard]] board with(unsigned row) const noexcept {
        board next = *this;
        next.rows_[next.filled_++] = static_cast<std::int8_t>(row);
        return next;
    }

private:
    std::array<std::int8_t, nqueens_size_max> rows_{};
    std::uint8_t size_;
    std::uint8_t filled_ = 0;
};

/// For up to nqueens_size_max queens.
constexpr std::uint64_t nqueens_solutions(std::uint64_t n) noexcept {
    constexpr std::array<std::uint64_t, nqueens_size_max + 1> known = {
        1, 1, 0, 0, 2, 10, 4, 40, 92, 352, 724, 2680, 14200, 73712, 365596, 2279184, 14772512};
    return known[static_cast<std::size_t>(n)];
}

}  // namespace forkjoin
