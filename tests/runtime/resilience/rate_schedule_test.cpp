#include <weft/runtime/resilience/detail/rate_schedule.hpp>

#include <weft/tests/support/rate_reference.hpp>
#include <weft/tests/support/seed.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <vector>

namespace {

using namespace std::chrono_literals;
using weft::rate_kind;
using weft::rate_limiter_options;
using weft::detail::rate_schedule;

constexpr weft::clock::time_point start{1h};

rate_limiter_options per_second(rate_kind kind, unsigned limit, unsigned burst = 0) {
    rate_limiter_options options;
    options.kind = kind;
    options.limit = limit;
    options.period = 1s;
    options.burst = burst;
    return options;
}

/// When `count` calls start that all come at `now`, each as early as it may; as the schedule says
/// before the first of them starts, and as they then do.
std::vector<weft::clock::duration> starts(rate_schedule& subject,
                                          weft::clock::time_point now,
                                          std::size_t count) {
    std::vector<weft::clock::duration> foretold;
    for (std::size_t i = 0; i < count; ++i) {
        foretold.push_back(subject.earliest(now, i) - start);
    }
    std::vector<weft::clock::duration> all;
    for (std::size_t i = 0; i < count; ++i) {
        now = subject.earliest(now);
        subject.start(now);
        all.push_back(now - start);
    }
    CHECK(all == foretold);
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

    TEST_CASE("the longest period and the largest numbers overflow nowhere") {
        constexpr auto most = ~0U;
        for (auto const kind : {rate_kind::token_bucket, rate_kind::sliding_window}) {
            for (unsigned const limit : {1U, 2U, most}) {
                for (unsigned const burst : {1U, 2U, most}) {
                    rate_limiter_options options = per_second(kind, limit, burst);
                    options.period = std::chrono::hours::max();
                    rate_schedule subject(options);
                    subject.start(start);
                    CHECK(subject.earliest(start, ~std::size_t{0}) >= start + 24h * 365 * 100);
                    bool const may_follow =
                        kind == rate_kind::token_bucket ? burst != 1 : limit != 1;
                    CHECK((subject.earliest(start) == start) == may_follow);
                    if (!may_follow && limit < most) {
                        CHECK(subject.earliest(start) > start + 24h * 365 * 100);
                    }
                }
            }
        }
    }

    TEST_CASE("a sliding window takes memory for the starts that were, not for its limit") {
        rate_schedule subject(per_second(rate_kind::sliding_window, ~0U));
        CHECK(starts(subject, start, 3) == durations{0s, 0s, 0s});
    }

    TEST_CASE("a schedule agrees with one that tries every time") {
        auto const seed = weft::test::fresh_seed();
        CAPTURE(seed);
        weft::test::random_numbers random(seed);
        for (int round = 0; round < 400; ++round) {
            auto const kind =
                random.one_in(2) ? rate_kind::token_bucket : rate_kind::sliding_window;
            auto const limit = static_cast<unsigned>(1 + random.below(5));
            auto const burst = static_cast<unsigned>(random.below(7));
            rate_schedule subject(per_second(kind, limit, burst));
            weft::test::rate_reference reference(kind, limit, 1s, burst);
            auto now = start;
            for (int call = 0; call < 40; ++call) {
                now += std::chrono::milliseconds(random.below(700));
                auto const wanted = reference.earliest(now);
                CHECK(subject.earliest(now) == wanted);
                now = wanted;
                subject.start(now);
                reference.start(now);
            }
        }
    }
}
