#pragma once

#include <cstdint>

namespace weft {

/// A length of time, made of any std::chrono duration, without the weight of <chrono>. Negative
/// durations are zero, and the longest are cut to some centuries.
///
/// Thread safety, cancellation, errors: a value.
/// Lifetime: refers to nothing.
/// Complexity: one word.
/// Example: examples/graceful_shutdown.cpp
class time_span {
public:
    constexpr time_span() noexcept = default;

    // `5s` becomes a time_span without a word, as it becomes any other duration.
    template <class Duration>
        requires requires(Duration duration) {
            duration.count();
            Duration::period::num;
            Duration::period::den;
        }
    constexpr time_span(Duration duration) noexcept {
        using period = typename Duration::period;
        double const exact = static_cast<double>(duration.count()) *
                             (static_cast<double>(period::num) * 1e9) /
                             static_cast<double>(period::den);
        if (exact >= static_cast<double>(longest)) {
            count_ = longest;
        } else if (exact > 0) {
            count_ = period::num == 1 && billion % period::den == 0
                         ? static_cast<std::uint64_t>(duration.count()) *
                               static_cast<std::uint64_t>(billion / period::den)
                         : static_cast<std::uint64_t>(exact);
        }
    }

    [[nodiscard]] constexpr std::uint64_t nanoseconds() const noexcept { return count_; }

    friend constexpr bool operator==(time_span, time_span) noexcept = default;

private:
    static constexpr std::int64_t billion = 1'000'000'000;
    static constexpr std::uint64_t longest = std::uint64_t{1} << 62;

    std::uint64_t count_ = 0;
};

}  // namespace weft
