#include <weft/runtime/resilience/backoff.hpp>

#include <weft/tests/support/seed.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <set>
#include <vector>

namespace {

using namespace std::chrono_literals;
using weft::backoff;
using weft::backoff_options;
using weft::jitter;

std::vector<weft::clock::duration> pauses(backoff_options const& options,
                                          weft::random_source& random,
                                          int count) {
    backoff pauses_of_call(options, random);
    std::vector<weft::clock::duration> all;
    for (int i = 0; i < count; ++i) {
        all.push_back(pauses_of_call.next());
    }
    return all;
}

backoff_options spread(jitter kind) {
    backoff_options options;
    options.first = 100ms;
    options.longest = 1s;
    options.spread = kind;
    return options;
}

}  // namespace

TEST_SUITE("runtime/resilience/backoff") {
    TEST_CASE("without jitter pauses grow by the factor up to the longest") {
        weft::random_source random(1);
        CHECK(pauses(spread(jitter::none), random, 6) ==
              std::vector<weft::clock::duration>{100ms, 200ms, 400ms, 800ms, 1s, 1s});
    }

    TEST_CASE("full jitter stays between zero and the step, equal jitter above half of it") {
        auto const seed = weft::test::fresh_seed();
        CAPTURE(seed);
        weft::random_source random(seed);
        weft::clock::duration const steps[] = {100ms, 200ms, 400ms, 800ms, 1s};
        for (int round = 0; round < 1'000; ++round) {
            auto const full = pauses(spread(jitter::full), random, 5);
            auto const equal = pauses(spread(jitter::equal), random, 5);
            for (std::size_t i = 0; i < 5; ++i) {
                CHECK(full[i] >= 0ms);
                CHECK(full[i] <= steps[i]);
                CHECK(equal[i] >= steps[i] / 2);
                CHECK(equal[i] <= steps[i]);
            }
        }
    }

    TEST_CASE("decorrelated jitter lies between the first pause and three times the last") {
        auto const seed = weft::test::fresh_seed();
        CAPTURE(seed);
        weft::random_source random(seed);
        for (int round = 0; round < 1'000; ++round) {
            weft::clock::duration last = 100ms;
            for (auto const pause : pauses(spread(jitter::decorrelated), random, 10)) {
                CHECK(pause >= 100ms);
                CHECK(pause <= 1s);
                CHECK(pause <= last * 3);
                last = pause;
            }
        }
    }

    TEST_CASE("full jitter uses the whole stretch") {
        weft::random_source random(weft::test::fresh_seed());
        auto shortest = weft::clock::duration::max();
        auto longest = weft::clock::duration::zero();
        for (int i = 0; i < 10'000; ++i) {
            auto const pause = pauses(spread(jitter::full), random, 1).front();
            shortest = pause < shortest ? pause : shortest;
            longest = pause > longest ? pause : longest;
        }
        CHECK(shortest < 1ms);
        CHECK(longest > 99ms);
    }

    TEST_CASE("a factor beyond every limit does not overflow") {
        backoff_options options = spread(jitter::none);
        options.longest = std::chrono::hours(24 * 365 * 200);
        options.factor = 1e12;
        weft::random_source random(1);
        auto const all = pauses(options, random, 20);
        CHECK(all.front() == 100ms);
        CHECK(all.back() == options.longest);
    }

    TEST_CASE("equal seeds give equal pauses") {
        weft::random_source one(42);
        weft::random_source other(42);
        CHECK(pauses(spread(jitter::full), one, 50) == pauses(spread(jitter::full), other, 50));
    }
}

TEST_SUITE("runtime/resilience/random_source") {
    TEST_CASE("numbers up to a bound reach both ends and nothing beyond") {
        weft::random_source random(weft::test::fresh_seed());
        std::set<std::uint64_t> seen;
        for (int i = 0; i < 1'000; ++i) {
            seen.insert(random.up_to(3));
        }
        CHECK(seen == std::set<std::uint64_t>{0, 1, 2, 3});
        CHECK(random.up_to(0) == 0);
        CHECK_NOTHROW((void)random.up_to(~std::uint64_t{0}));
    }

    TEST_CASE("two sources that the system seeds differ") {
        weft::random_source one;
        weft::random_source other;
        CHECK(one.next() != other.next());
    }
}
