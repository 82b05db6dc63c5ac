#pragma once

// C = A·B for square matrices by quarters: two steps of four products half as wide, down to blocks
// that fit the first-level cache. The elements are small whole numbers, so that every order of
// additions gives the same floats and the answer can be checked for equality.

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

namespace forkjoin {

inline constexpr std::uint64_t matmul_size = 2048;
inline constexpr std::uint64_t matmul_size_max = 16384;
inline constexpr std::size_t matmul_block_size = 32;

/// A square part of a matrix with `stride` columns.
template <class Element>
struct square {
    [[nodiscard]] square quarter(std::size_t row, std::size_t column) const noexcept {
        std::size_t const half = size / 2;
        return {first + row * half * stride + column * half, half, stride};
    }

    Element* first;
    std::size_t size;
    std::size_t stride;
};

/// `result = left·right`, or `result += left·right`.
class product {
public:
    product(square<float const> left,
            square<float const> right,
            square<float> result,
            bool adds) noexcept
        : left_(left)
        , right_(right)
        , result_(result)
        , adds_(adds) {}

    [[nodiscard]] bool is_block() const noexcept { return result_.size == matmul_block_size; }

    /// The quarters of the result from the left half of `left`; the second step adds to them.
    [[nodiscard]] std::array<product, 4> first_step() const noexcept { return step(0, adds_); }

    [[nodiscard]] std::array<product, 4> second_step() const noexcept { return step(1, true); }

    /// Requires: a block. Not inlined, so that the arithmetic is compiled alike in every program: a
    /// coroutine's locals would keep the compiler from vectorizing it.
    [[gnu::noinline]] void compute() const noexcept {
        constexpr std::size_t n = matmul_block_size;
        for (std::size_t i = 0; i < n; ++i) {
            float* const row = result_.first + i * result_.stride;
            std::array<float, n> sums{};
            if (adds_) {
                std::copy_n(row, n, sums.begin());
            }
            for (std::size_t k = 0; k < n; ++k) {
                float const factor = left_.first[i * left_.stride + k];
                float const* const other = right_.first + k * right_.stride;
                for (std::size_t j = 0; j < n; ++j) {
                    sums[j] += factor * other[j];
                }
            }
            std::copy_n(sums.begin(), n, row);
        }
    }

private:
    [[nodiscard]] std::array<product, 4> step(std::size_t k, bool adds) const noexcept {
        auto const one = [&](std::size_t row, std::size_t column) {
            return product(left_.quarter(row, k),
                           right_.quarter(k, column),
                           result_.quarter(row, column),
                           adds);
        };
        return {one(0, 0), one(0, 1), one(1, 0), one(1, 1)};
    }

    square<float const> left_;
    square<float const> right_;
    square<float> result_;
    bool adds_;
};

/// Two random matrices and room for their product.
class multiplication {
public:
    /// Requires: is_size(size).
    explicit multiplication(std::size_t size)
        : size_(size)
        , left_(size * size)
        , right_(size * size)
        , result_(size * size, unset) {
        auto const next = [this] { return static_cast<float>(element_(random_)); };
        std::generate(left_.begin(), left_.end(), next);
        std::generate(right_.begin(), right_.end(), next);
    }

    [[nodiscard]] static bool is_size(std::uint64_t size) noexcept {
        return std::has_single_bit(size) && size >= matmul_block_size;
    }

    [[nodiscard]] product whole() noexcept {
        return product({left_.data(), size_, size_},
                       {right_.data(), size_, size_},
                       {result_.data(), size_, size_},
                       false);
    }

    /// Computes some rows again; then spoils the result, so that it cannot pass for the next one's.
    [[nodiscard]] bool check_and_spoil() {
        std::uniform_int_distribution<std::size_t> any_row(0, size_ - 1);
        bool right = std::find(result_.begin(), result_.end(), unset) == result_.end();
        for (int i = 0; i < 8; ++i) {
            right = right && is_right(any_row(random_));
        }
        std::fill(result_.begin(), result_.end(), unset);
        return right;
    }

private:
    /// No sum of matmul_size_max products reaches it.
    static constexpr float unset = -std::numeric_limits<float>::max();

    [[nodiscard]] bool is_right(std::size_t row) const {
        std::vector<float> sums(size_);
        for (std::size_t k = 0; k < size_; ++k) {
            for (std::size_t j = 0; j < size_; ++j) {
                sums[j] += left_[row * size_ + k] * right_[k * size_ + j];
            }
        }
        return std::equal(sums.begin(), sums.end(), result_.data() + row * size_);
    }

    std::size_t size_;
    std::mt19937 random_{1};  // the same matrices in every program
    std::uniform_int_distribution<int> element_{-8, 8};
    std::vector<float> left_;
    std::vector<float> right_;
    std::vector<float> result_;
};

}  // namespace forkjoin
