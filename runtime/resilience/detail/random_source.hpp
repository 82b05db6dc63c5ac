#pragma once

/// Random numbers that a test can repeat.

#include <weft/runtime/base/atomic.hpp>

#include <cstdint>

namespace weft {

/// A generator of pseudo-random numbers for spreading load, not for secrets.
///
/// Equal seeds give equal sequences; which task gets which number of the sequence depends on the
/// order of their calls.
///
/// Thread safety: every member may be called from any thread at the same time.
/// Cancellation: never suspends.
/// Lifetime: must outlive the policies that draw from it.
/// Complexity: O(1), one atomic addition.
/// Errors: none.
/// Example: examples/resilient_client.cpp
class random_source {
public:
    /// Seeded by the system.
    random_source() noexcept;

    explicit random_source(std::uint64_t seed) noexcept : state_(seed) {}

    random_source(random_source const&) = delete;
    random_source& operator=(random_source const&) = delete;

    [[nodiscard]] std::uint64_t next() noexcept;

    /// Evenly between 0 and `bound`, both included.
    [[nodiscard]] std::uint64_t up_to(std::uint64_t bound) noexcept;

    /// What policies draw from that are given none: one for the whole process.
    [[nodiscard]] static random_source& shared() noexcept;

private:
    // --- any thread, atomic --------------------------------------------------------
    /// Written by every caller of next().
    detail::atomic<std::uint64_t> state_;
};

}  // namespace weft
