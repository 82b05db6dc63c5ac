#pragma once

/// How long to wait between attempts.

#include <weft/runtime/resilience/detail/random_source.hpp>
#include <weft/runtime/time/sleep.hpp>

#include <cstdint>

namespace weft {

/// How a pause is spread, so that callers who failed together do not come back together. `step` is
/// the exponential pause: first · factorⁿ, at most `longest`.
enum class jitter : std::uint8_t {
    none,          ///< the step
    full,          ///< between zero and the step
    equal,         ///< between half of the step and the step
    decorrelated,  ///< between `first` and three times the pause before, at most `longest`
};

struct backoff_options {
    time_span first = std::chrono::milliseconds(100);
    time_span longest = std::chrono::seconds(10);
    double factor = 2;  ///< at least 1
    jitter spread = jitter::full;
};

/// The pauses of one call.
///
/// Thread safety: one thread at a time.
/// Cancellation: never suspends.
/// Lifetime: refers to the random source.
/// Complexity: O(1).
/// Errors: std::invalid_argument from the constructor for options that make no sense.
/// Example: examples/resilient_client.cpp
class backoff {
public:
    explicit backoff(backoff_options const& options,
                     random_source& random = random_source::shared());

    /// The pause before the next attempt.
    [[nodiscard]] clock::duration next() noexcept;

private:
    [[nodiscard]] std::int64_t between(std::int64_t low, std::int64_t high) noexcept;

    backoff_options options_;
    random_source* random_;
    std::int64_t step_;   // nanoseconds
    std::int64_t pause_;  // the last one
};

}  // namespace weft
