#pragma once

/// Randomness that can be repeated.
///
///     auto const seed = weft::test::fresh_seed();
///     CAPTURE(seed);
///     weft::test::random_numbers random(seed);
///
/// A failed check then prints the seed, and WEFT_SEED=<that number> repeats the run.

#include <cstdint>
#include <cstdlib>
#include <random>

namespace weft::test {

/// WEFT_SEED if set (decimal, or hexadecimal with 0x), otherwise a different number each time.
[[nodiscard]] inline std::uint64_t fresh_seed() {
    if (char const* const fixed = std::getenv("WEFT_SEED"); fixed != nullptr) {
        return std::strtoull(fixed, nullptr, 0);
    }
    std::random_device device;
    return std::uint64_t{device()} << 32 | device();
}

/// Fast numbers of no cryptographic worth: a 64-bit counter put through a mixing function, so that
/// every seed, zero included, is as good as another.
class random_numbers {
public:
    explicit random_numbers(std::uint64_t seed) noexcept : state_(seed) {}

    [[nodiscard]] std::uint64_t next() noexcept {
        state_ += 0x9E3779B97F4A7C15;
        std::uint64_t mixed = state_;
        mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9;
        mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB;
        return mixed ^ (mixed >> 31);
    }

    /// 0 ≤ number < bound. Requires: bound > 0. The bias is below bound / 2^64.
    [[nodiscard]] std::uint64_t below(std::uint64_t bound) noexcept { return next() % bound; }

    /// True once in `n` times.
    [[nodiscard]] bool one_in(std::uint64_t n) noexcept { return below(n) == 0; }

    /// A number of up to `bits` bits whose magnitude, not whose value, is evenly spread.
    [[nodiscard]] std::uint64_t up_to_bits(unsigned bits) noexcept {
        auto const width = static_cast<unsigned>(below(bits + 1));
        return width == 0 ? 0 : next() >> (64 - width);
    }

private:
    std::uint64_t state_;
};

}  // namespace weft::test
