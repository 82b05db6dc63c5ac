#include <weft/runtime/resilience/time_limit.hpp>

#include <weft/runtime/scope/stop_on.hpp>
#include <weft/runtime/testing/test_runtime.hpp>
#include <weft/tests/support/outcome.hpp>
#include <weft/tests/support/small_tasks.hpp>

#include <doctest/doctest.h>

#include <chrono>

namespace {

using namespace std::chrono_literals;
using weft::test::outcome_of;
using weft::test::outcome_under;
using weft::test::runtime;

}  // namespace

TEST_SUITE("runtime/resilience/time_limit") {
    TEST_CASE("work within the limit passes through, slower work is stopped") {
        runtime rt;
        weft::time_limit limit(1s);
        auto fast = [] { return weft::test::value_after(900ms, 1); };
        auto slow = [] { return weft::test::value_after(1100ms, 1); };
        CHECK(rt.block_on(outcome_of(limit.run(fast))) == "value 1");
        CHECK(rt.block_on(outcome_of(limit.run(slow))) == "error timed out");
        CHECK(limit.counters().calls == 2);
        CHECK(limit.counters().timed_out == 1);
    }

    TEST_CASE("an error within the limit passes through") {
        runtime rt;
        weft::time_limit limit(1s);
        auto fails = [] { return weft::test::fails_after(10ms, "broken"); };
        CHECK(rt.block_on(outcome_of(limit.run(fails))) == "error broken");
        CHECK(limit.counters().timed_out == 0);
    }

    TEST_CASE("a stop from outside is not a timeout") {
        runtime rt;
        weft::time_limit limit(1s);
        weft::stop_source source;
        source.request_stop();
        CHECK(rt.block_on(outcome_under(source.token(), limit.run(&weft::test::forever))) ==
              "stopped");
        CHECK(limit.counters().timed_out == 0);
    }
}
