#include <weft/runtime/resilience/detail/random_source.hpp>

#include <weft/runtime/base/sys.hpp>

namespace weft {

namespace {

/// Weyl sequence: an odd step visits every state before it repeats one.
constexpr std::uint64_t step = 0x9E3779B97F4A7C15;

std::uint64_t system_seed() noexcept {
    std::uint64_t seed = 0;
    if (detail::sys::random_bytes(&seed, sizeof seed) != int{sizeof seed}) {
        seed = detail::sys::real_time_ns();
    }
    return seed;
}

}  // namespace

random_source::random_source() noexcept : random_source(system_seed()) {}

std::uint64_t random_source::next() noexcept {
    using namespace detail;
    // relaxed: count — each caller gets a state of its own; nothing else is ordered by it
    std::uint64_t mixed = state_.fetch_add(step, relaxed) + step;
    // The finaliser of SplitMix64: every bit of the state changes about half of the result's.
    mixed = (mixed ^ (mixed >> 30U)) * 0xBF58476D1CE4E5B9;
    mixed = (mixed ^ (mixed >> 27U)) * 0x94D049BB133111EB;
    return mixed ^ (mixed >> 31U);
}

std::uint64_t random_source::up_to(std::uint64_t bound) noexcept {
    __extension__ using wide = unsigned __int128;
    // Scaling instead of a remainder: the bias is below 2^-64 of the bound.
    return static_cast<std::uint64_t>((wide{next()} * (wide{bound} + 1)) >> 64U);
}

random_source& random_source::shared() noexcept {
    static random_source instance;
    return instance;
}

}  // namespace weft
