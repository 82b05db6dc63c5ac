#include <weft/runtime/base/time_span.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <limits>
#include <ratio>
#include <vector>

namespace {

using namespace std::chrono_literals;
using weft::time_span;

constexpr auto longest = static_cast<std::uint64_t>(std::chrono::nanoseconds::max().count());

struct row {
    char const* text;
    time_span length;
    std::uint64_t nanoseconds;
};

template <class Rep, class Period = std::ratio<1>>
using length_of = std::chrono::duration<Rep, Period>;

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();

void check(std::vector<row> const& rows) {
    for (row const& each : rows) {
        CAPTURE(each.text);
        CHECK(each.length.nanoseconds() == each.nanoseconds);
    }
}

#define ROW(duration, nanoseconds)       \
    row {                                \
        #duration, duration, nanoseconds \
    }

}  // namespace

TEST_SUITE("runtime/base/time_span") {
    TEST_CASE("a whole number of any unit is exact") {
        check({
            ROW(0s, 0),
            ROW(1ns, 1),
            ROW(90s, 90'000'000'000),
            ROW(1h, 3'600'000'000'000),
            ROW(std::chrono::years(1), 31'556'952'000'000'000),
            ROW(std::chrono::nanoseconds::max(), longest),
            ROW(std::chrono::nanoseconds::max() - 1ns, longest - 1),
            ROW((std::chrono::seconds(9'223'372'036)), 9'223'372'036'000'000'000),
            ROW((length_of<std::uint8_t>(255)), 255'000'000'000),
            ROW((length_of<std::int64_t, std::ratio<1, 3>>(1)), 333'333'333),
            ROW((length_of<std::int64_t, std::ratio<1, 3>>(3)), 1'000'000'000),
            ROW((length_of<std::int64_t, std::ratio<7, 3>>(3'000'000'000)),
                7'000'000'000'000'000'000),
        });
    }

    TEST_CASE("units finer than a nanosecond are rounded") {
        check({
            ROW((length_of<std::int64_t, std::pico>(499)), 0),
            ROW((length_of<std::int64_t, std::pico>(500)), 1),
            ROW((length_of<std::int64_t, std::pico>(1'499)), 1),
            ROW((length_of<std::int64_t, std::atto>(std::numeric_limits<std::int64_t>::max())),
                9'223'372'037),
        });
    }

    TEST_CASE("a floating-point number keeps its fraction") {
        check({
            ROW(0.5s, 500'000'000),
            ROW(0.1s, 100'000'000),
            ROW(0.3s, 300'000'000),
            ROW(1.5min, 90'000'000'000),
            ROW(1500.7ms, 1'500'700'000),
            ROW((length_of<float>(0.25F)), 250'000'000),
            ROW((length_of<long double, std::ratio<3600>>(0.5L)), 1'800'000'000'000),
            ROW((length_of<double, std::nano>(0.4)), 0),
            ROW((length_of<double, std::nano>(0.6)), 1),
        });
    }

    TEST_CASE("what is not positive is zero") {
        check({
            ROW(-1ns, 0),
            ROW(std::chrono::hours::min(), 0),
            ROW(std::chrono::nanoseconds::min(), 0),
            ROW(-0.5s, 0),
            ROW((length_of<double>(-infinity)), 0),
            ROW((length_of<double>(not_a_number)), 0),
            ROW((length_of<double>(std::numeric_limits<double>::denorm_min())), 0),
        });
    }

    TEST_CASE("the largest number of any unit is the longest time, which does not overflow") {
        constexpr auto most = std::numeric_limits<std::uint64_t>::max();
        check({
            ROW(std::chrono::microseconds::max(), longest),
            ROW(std::chrono::milliseconds::max(), longest),
            ROW(std::chrono::seconds::max(), longest),
            ROW(std::chrono::minutes::max(), longest),
            ROW(std::chrono::hours::max(), longest),
            ROW(std::chrono::days::max(), longest),
            ROW(std::chrono::weeks::max(), longest),
            ROW(std::chrono::months::max(), longest),
            ROW(std::chrono::years::max(), longest),
            ROW((std::chrono::seconds(9'223'372'037)), longest),
            ROW((length_of<std::uint64_t>(most)), longest),
            ROW((length_of<std::uint64_t, std::nano>(most)), longest),
            ROW((length_of<std::uint64_t, std::exa>(most)), longest),
            ROW((length_of<std::int64_t, std::ratio<INTMAX_MAX>>(1)), longest),
            ROW((length_of<std::int64_t, std::ratio<1, INTMAX_MAX>>(INTMAX_MAX)), 1'000'000'000),
            ROW((length_of<double>(infinity)), longest),
            ROW((length_of<double>::max()), longest),
            ROW((length_of<float>::max()), longest),
            ROW((length_of<long double, std::exa>::max()), longest),
            ROW((length_of<double, std::nano>(9.3e18)), longest),
        });
    }

    TEST_CASE("spans of time are ordered, and may be constants") {
        constexpr time_span short_one = 1ms;
        constexpr time_span long_one = 1.5ms;
        static_assert(short_one < long_one);
        static_assert(short_one == time_span(1000us));
        static_assert(time_span() == time_span(-1h));
        CHECK(std::is_nothrow_constructible_v<time_span, std::chrono::hours>);
        CHECK(std::is_convertible_v<std::chrono::hours, time_span>);
        CHECK(!std::is_convertible_v<int, time_span>);
        CHECK(!std::is_constructible_v<time_span, double>);
    }
}
