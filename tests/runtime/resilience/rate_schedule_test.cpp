#include <weft/runtime/resilience/rate_schedule.hpp>

#include <weft/tests/support/seed.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <vector>

namespace {

using namespace std::chrono_literals;
using weft::rate_kind;
using weft::rate_options;
using weft::detail::rate_schedule;

constexpr weft::clock::time_point start{1h};

rate_options per_second(rate_kind kind, unsigned limit, unsigned burst = 0) {
    rate_options options;
    options.kind = kind;
    options.limit = limit;
    options.period = 1s;
    options.burst = burst;
    return options;
}

std::vector<weft::clock::duration> starts(rate_schedule& subject,
                                          weft::clock::time_point now,
                                          int count) {
    std::vector<weft::clock::duration> all;
    for (int i = 0; i < count; ++i) {
        all.push_back(subject.reserve(now) - start);
    }
    return all;
}

using durations = std::vector<weft::clock::duration>;

}  // namespace

TEST_SUITE("runtime/resilience/rate_schedule") {
    TEST_CASE("a token bucket lets a burst start at once and then one per interval") {
        rate_schedule subject(per_second(rate_kind::token_bucket, 10, 3));
        CHECK(starts(subject, start, 6) == durations{0ms, 0ms, 0ms, 100ms, 200ms, 300ms});
    }

    TEST_CASE("a bucket that was left alone is full again, not fuller") {
        rate_schedule subject(per_second(rate_kind::token_bucket, 10, 2));
        (void)starts(subject, start, 2);
        CHECK(starts(subject, start + 150ms, 2) == durations{150ms, 200ms});
        CHECK(starts(subject, start + 1h, 3) == durations{1h, 1h, 1h + 100ms});
    }

    TEST_CASE("a sliding window lets its limit start at once and the next a period later") {
        rate_schedule subject(per_second(rate_kind::sliding_window, 3));
        CHECK(starts(subject, start, 7) == durations{0s, 0s, 0s, 1s, 1s, 1s, 2s});
    }

    TEST_CASE("in a sliding window each start makes room a period later") {
        rate_schedule subject(per_second(rate_kind::sliding_window, 2));
        CHECK(starts(subject, start, 1) == durations{0ms});
        CHECK(starts(subject, start + 600ms, 1) == durations{600ms});
        CHECK(starts(subject, start + 700ms, 2) == durations{1000ms, 1600ms});
    }

    TEST_CASE("a start that is given back is there for the next call") {
        rate_schedule bucket(per_second(rate_kind::token_bucket, 10, 1));
        auto const first = bucket.reserve(start);
        auto const second = bucket.reserve(start);
        CHECK(second - first == 100ms);
        bucket.cancel(second);
        CHECK(bucket.earliest(start) - start == 100ms);

        rate_schedule window(per_second(rate_kind::sliding_window, 2));
        (void)starts(window, start, 2);
        auto const third = window.reserve(start);
        CHECK(third - start == 1s);
        window.cancel(third);
        CHECK(starts(window, start, 3) == durations{1s, 1s, 2s});
    }

    TEST_CASE("no stretch of a period holds more starts than the window's limit") {
        auto const seed = weft::test::fresh_seed();
        CAPTURE(seed);
        weft::test::random_numbers random(seed);
        constexpr std::size_t limit = 5;
        rate_schedule subject(per_second(rate_kind::sliding_window, limit));
        std::vector<weft::clock::time_point> taken;
        auto now = start;
        for (int i = 0; i < 5'000; ++i) {
            now += std::chrono::milliseconds(random.below(300));
            auto const reserved = subject.reserve(now);
            CHECK(reserved >= now);
            if (reserved > now && random.one_in(3)) {
                subject.cancel(reserved);
            } else {
                taken.push_back(reserved);
            }
        }
        std::ranges::sort(taken);
        for (std::size_t i = limit; i < taken.size(); ++i) {
            CHECK(taken[i] - taken[i - limit] >= 1s);
        }
        CHECK(taken.size() > 3'000);
    }

    TEST_CASE("a bucket never lets more start than its burst and its rate allow") {
        auto const seed = weft::test::fresh_seed();
        CAPTURE(seed);
        weft::test::random_numbers random(seed);
        constexpr int burst = 4;
        rate_schedule subject(per_second(rate_kind::token_bucket, 10, burst));
        std::vector<weft::clock::time_point> taken;
        auto now = start;
        for (int i = 0; i < 5'000; ++i) {
            now += std::chrono::milliseconds(random.below(200));
            auto const reserved = subject.reserve(now);
            if (reserved > now && random.one_in(3)) {
                subject.cancel(reserved);
            } else {
                taken.push_back(reserved);
            }
        }
        std::ranges::sort(taken);
        for (std::size_t i = burst; i < taken.size(); ++i) {
            CHECK(taken[i] - taken[i - burst] >= 100ms);
        }
    }
}
