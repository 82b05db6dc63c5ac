#include <weft/runtime/resilience/fallback.hpp>

#include <weft/runtime/testing/test_runtime.hpp>
#include <weft/runtime/time/timeout.hpp>
#include <weft/tests/support/outcome.hpp>
#include <weft/tests/support/small_tasks.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <exception>
#include <string>
#include <system_error>

namespace {

using namespace std::chrono_literals;
using weft::fallback;
using weft::task;
using weft::test::outcome_of;
using weft::test::runtime;

task<int> good() {
    return weft::test::value(1);
}

task<int> broken() {
    return weft::test::fails("broken");
}

task<int> worse() {
    return weft::test::fails("worse");
}

task<int> cached() {
    return weft::test::value(2);
}

}  // namespace

TEST_SUITE("runtime/resilience/fallback") {
    TEST_CASE("work that succeeds needs no alternative") {
        runtime rt;
        fallback chain(&cached);
        CHECK(rt.block_on(outcome_of(chain.run(&good))) == "value 1");
        CHECK(chain.counters().successes == 1);
        CHECK(chain.counters().alternatives == 0);
    }

    TEST_CASE("alternatives are tried in order until one succeeds") {
        runtime rt;
        fallback chain(&worse, &cached, &good);
        CHECK(rt.block_on(outcome_of(chain.run(&broken))) == "value 2");
        CHECK(chain.counters().recoveries == 1);
        CHECK(chain.counters().alternatives == 2);
    }

    TEST_CASE("when everything fails the last error is the result") {
        runtime rt;
        fallback chain(&broken, &worse);
        CHECK(rt.block_on(outcome_of(chain.run(&broken))) == "error worse");
        CHECK(chain.counters().failures == 1);
    }

    TEST_CASE("an alternative may take the error that led to it") {
        runtime rt;
        fallback chain([](std::exception_ptr const& error) {
            return weft::test::value(static_cast<int>(weft::test::text_of(error).size()));
        });
        CHECK(rt.block_on(outcome_of(chain.run(&broken))) == "value 6");
    }

    TEST_CASE("an error that alternatives do not mend is the result") {
        runtime rt;
        fallback chain(weft::transient_error, &cached);
        CHECK(rt.block_on(outcome_of(chain.run(&broken))) == "error broken");
        CHECK(chain.counters().not_tried == 1);
        auto late = []() -> task<int> {
            throw std::system_error(std::make_error_code(std::errc::timed_out), "late");
            co_return 0;
        };
        CHECK(rt.block_on(outcome_of(chain.run(late))) == "value 2");
    }

    TEST_CASE("a stop ends the call without an alternative") {
        runtime rt;
        fallback chain(&cached);
        auto limited = [&]() -> task<int> {
            int const value = co_await weft::timeout(1s, chain.run(&weft::test::forever));
            co_return value;
        };
        CHECK(rt.block_on(outcome_of(limited())) == "error timed out");
        CHECK(chain.counters().stopped == 1);
        CHECK(chain.counters().alternatives == 0);
    }

    TEST_CASE("a stop during an alternative ends the call") {
        runtime rt;
        fallback chain(&weft::test::forever, &cached);
        auto limited = [&]() -> task<int> {
            int const value = co_await weft::timeout(1s, chain.run(&broken));
            co_return value;
        };
        CHECK(rt.block_on(outcome_of(limited())) == "error timed out");
        CHECK(chain.counters().stopped == 1);
        CHECK(chain.counters().alternatives == 1);
    }
}
