#include <weft/bench/echo_load/latency_histogram.hpp>

#include <doctest/doctest.h>

#include <cstdint>

namespace {

using echo_load::latency_histogram;

double relative_error(std::uint64_t measured, std::uint64_t exact) {
    auto const difference = static_cast<double>(measured) - static_cast<double>(exact);
    return (difference < 0 ? -difference : difference) / static_cast<double>(exact);
}

}  // namespace

TEST_SUITE("bench/echo_load/latency_histogram") {
    TEST_CASE("an empty histogram reports zero") {
        latency_histogram const empty;
        CHECK(empty.count() == 0);
        CHECK(empty.max() == 0);
        CHECK(empty.percentile(0.5) == 0);
    }

    TEST_CASE("values below 256 are exact") {
        latency_histogram histogram;
        for (std::uint64_t value = 0; value < 256; ++value) {
            histogram.record(value);
        }
        CHECK(histogram.percentile(0) == 0);
        CHECK(histogram.percentile(0.5) == 127);
        CHECK(histogram.percentile(1) == 255);
    }

    TEST_CASE("a percentile is off by less than one percent at every scale") {
        for (std::uint64_t value = 1; value < std::uint64_t{1} << 39; value += value / 50 + 1) {
            latency_histogram histogram;
            histogram.record(value);
            histogram.record(std::uint64_t{1} << 39);
            REQUIRE(relative_error(histogram.percentile(0.5), value) < 0.01);
        }
    }

    TEST_CASE("buckets keep the order of values across powers of two") {
        std::uint64_t previous = 0;
        for (std::uint64_t power = 64; power < std::uint64_t{1} << 39; power *= 2) {
            for (std::uint64_t const value : {power - 1, power, power + 1}) {
                latency_histogram histogram;
                histogram.record(value);
                histogram.record(std::uint64_t{1} << 39);
                REQUIRE(histogram.percentile(0.5) >= previous);
                previous = histogram.percentile(0.5);
            }
        }
    }

    TEST_CASE("one slow request in a thousand decides the 99.95th percentile, not the 99th") {
        latency_histogram histogram;
        for (int i = 0; i < 999; ++i) {
            histogram.record(100);
        }
        histogram.record(50'000'000);
        CHECK(histogram.percentile(0.99) == 100);
        CHECK(histogram.percentile(0.999) == 100);
        CHECK(relative_error(histogram.percentile(0.9995), 50'000'000) < 0.01);
    }

    TEST_CASE("the largest value is exact, even beyond the last bucket") {
        latency_histogram histogram;
        auto const huge = (std::uint64_t{1} << 45) + 12'345;
        histogram.record(1);
        histogram.record(huge);
        CHECK(histogram.max() == huge);
        CHECK(histogram.percentile(1) == huge);
    }

    TEST_CASE("merging adds counts and keeps the larger maximum") {
        latency_histogram left;
        latency_histogram right;
        left.record(10);
        right.record(20);
        right.record(30);
        left.merge(right);
        CHECK(left.count() == 3);
        CHECK(left.max() == 30);
        CHECK(left.percentile(0.5) == 20);
    }
}
