#pragma once

#include <compare>
#include <cstdint>
#include <type_traits>

namespace weft {

namespace detail {

/// Has the members of a std::chrono::duration.
template <class T>
concept chrono_duration = requires(T const& length) {
    typename T::rep;
    T::period::num;
    T::period::den;
    length.count();
};

/// Whole seconds for the defaults of headers that do without <chrono>.
struct whole_seconds {
    using rep = std::int64_t;

    struct period {
        static constexpr std::intmax_t num = 1;
        static constexpr std::intmax_t den = 1;
    };

    [[nodiscard]] constexpr rep count() const noexcept { return seconds; }

    rep seconds;
};

/// A period in nanoseconds, as a fraction.
struct nanosecond_ratio {
    __extension__ using wide = unsigned __int128;

    constexpr nanosecond_ratio(std::intmax_t num, std::intmax_t den) noexcept {
        std::uintmax_t common = 1'000'000'000;
        for (std::uintmax_t rest = static_cast<std::uintmax_t>(den) % common; rest != 0;) {
            std::uintmax_t const next = common % rest;
            common = rest;
            rest = next;
        }
        numerator = static_cast<wide>(num) * (1'000'000'000 / common);
        denominator = static_cast<std::uintmax_t>(den) / common;
    }

    /// Whether a 64-bit count times the numerator fits into a wide number.
    [[nodiscard]] constexpr bool is_exact() const noexcept { return numerator >> 64U == 0; }

    wide numerator = 0;
    std::uintmax_t denominator = 1;
};

}  // namespace detail

/// A length of time, made of any std::chrono duration, without the weight of <chrono>.
///
/// Every duration that comes into the library comes in as one of these, so that nothing overflows
/// on the way: negative durations are zero, and so is one that is not a number; what is longer than
/// clock::duration::max(), 292 years, is cut to that, and means "for ever". Fractions of a
/// nanosecond are rounded.
///
/// Thread safety, cancellation, errors: a value.
/// Lifetime: refers to nothing.
/// Complexity: one word.
/// Example: examples/graceful_shutdown.cpp
class time_span {
public:
    constexpr time_span() noexcept = default;

    // `5s` becomes a time_span without a word, as it becomes any other duration.
    template <detail::chrono_duration Duration>
    constexpr time_span(Duration const& length) noexcept
        : count_(nanoseconds_of<typename Duration::period>(length.count())) {}

    template <class Number>
        requires std::is_arithmetic_v<Number>
    time_span(Number) = delete;  // a number has no unit: write 500ms, or std::chrono::seconds(n)

    /// At most clock::duration::max().count().
    [[nodiscard]] constexpr std::uint64_t nanoseconds() const noexcept { return count_; }

    friend constexpr bool operator==(time_span, time_span) noexcept = default;
    friend constexpr auto operator<=>(time_span, time_span) noexcept = default;

private:
    static constexpr std::uint64_t longest = ~std::uint64_t{0} >> 1U;

    template <class Period, class Rep>
    [[nodiscard]] static constexpr std::uint64_t nanoseconds_of(Rep const& count) noexcept {
        constexpr detail::nanosecond_ratio ratio(Period::num, Period::den);
        if (!(count > Rep(0))) {
            return 0;
        }
        if constexpr (std::is_integral_v<Rep> && ratio.is_exact()) {
            using wide = detail::nanosecond_ratio::wide;
            wide const scaled = static_cast<wide>(count) * ratio.numerator;
            wide const exact = (scaled + ratio.denominator / 2) / ratio.denominator;
            return exact < longest ? static_cast<std::uint64_t>(exact) : longest;
        } else {
            long double const exact = static_cast<long double>(count) *
                                      static_cast<long double>(ratio.numerator) /
                                      static_cast<long double>(ratio.denominator);
            if (exact >= static_cast<long double>(longest)) {
                return longest;
            }
            auto const whole = static_cast<std::uint64_t>(exact);
            return exact - static_cast<long double>(whole) < 0.5L ? whole : whole + 1;
        }
    }

    std::uint64_t count_ = 0;
};

}  // namespace weft
