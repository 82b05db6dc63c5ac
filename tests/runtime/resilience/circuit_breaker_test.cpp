#include <weft/runtime/resilience/circuit_breaker.hpp>

#include <weft/runtime/join/when_all.hpp>
#include <weft/runtime/scope/stop_on.hpp>
#include <weft/runtime/testing/test_runtime.hpp>
#include <weft/runtime/time/timeout.hpp>
#include <weft/tests/support/outcome.hpp>
#include <weft/tests/support/small_tasks.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <string>
#include <system_error>

namespace {

using namespace std::chrono_literals;
using weft::circuit_breaker;
using weft::circuit_breaker_options;
using weft::circuit_state;
using weft::task;
using weft::test::outcome_of;
using weft::test::outcome_under;
using weft::test::runtime;

circuit_breaker_options opens_after(unsigned failures) {
    circuit_breaker_options options;
    options.failures = failures;
    options.open_for = 10s;
    return options;
}

task<int> broken() {
    return weft::test::fails("broken");
}

task<int> good() {
    return weft::test::value(1);
}

task<int> not_found() {
    throw std::system_error(std::make_error_code(std::errc::no_such_file_or_directory), "lookup");
    co_return 0;
}

}  // namespace

TEST_SUITE("runtime/resilience/circuit_breaker") {
    TEST_CASE("values and errors pass through while it is closed") {
        runtime rt;
        circuit_breaker breaker(opens_after(2));
        CHECK(rt.block_on(outcome_of(breaker.run(&good))) == "value 1");
        CHECK(rt.block_on(outcome_of(breaker.run(&broken))) == "error broken");
        auto const seen = breaker.counters();
        CHECK(seen.successes == 1);
        CHECK(seen.failures == 1);
        CHECK(seen.window_calls == 2);
        CHECK(seen.window_failures == 1);
    }

    TEST_CASE("an open breaker refuses without starting the work, and names the cause") {
        runtime rt;
        circuit_breaker breaker(opens_after(1));
        (void)rt.block_on(outcome_of(breaker.run(&broken)));
        rt.advance(4s);
        bool started = false;
        auto work = [&started] {
            started = true;
            return good();
        };
        try {
            (void)rt.block_on(breaker.run(work));
            FAIL("the work was let in");
        } catch (weft::rejected const& refusal) {
            CHECK(refusal.code() == weft::errc::circuit_open);
            CHECK(refusal.retry_after() == 6s);
            CHECK_THROWS_WITH(std::rethrow_exception(refusal.cause()), "broken");
        }
        CHECK_FALSE(started);
        CHECK(breaker.counters().rejected == 1);
        CHECK(breaker.counters().opened == 1);
    }

    TEST_CASE("after its time a probe that succeeds closes it") {
        runtime rt;
        circuit_breaker breaker(opens_after(1));
        (void)rt.block_on(outcome_of(breaker.run(&broken)));
        rt.advance(10s);
        CHECK(breaker.state(rt.now()) == circuit_state::half_open);
        CHECK(rt.block_on(outcome_of(breaker.run(&good))) == "value 1");
        CHECK(breaker.state(rt.now()) == circuit_state::closed);
    }

    TEST_CASE("errors that do not count are signs of life") {
        runtime rt;
        circuit_breaker_options options = opens_after(1);
        options.counts = &weft::transient_error;
        circuit_breaker breaker(options);
        CHECK(rt.block_on(outcome_of(breaker.run(&not_found))).starts_with("error lookup"));
        CHECK(breaker.state(rt.now()) == circuit_state::closed);
        CHECK(breaker.counters().successes == 1);
    }

    TEST_CASE("a time limit outside stops the work, which then counts as nothing") {
        runtime rt;
        circuit_breaker breaker(opens_after(1));
        auto limited = [&]() -> task<int> {
            int const value = co_await weft::timeout(1s, breaker.run(&weft::test::forever));
            co_return value;
        };
        CHECK(rt.block_on(outcome_of(limited())) == "error timed out");
        CHECK(breaker.state(rt.now()) == circuit_state::closed);
        CHECK(breaker.counters().stopped == 1);
    }

    TEST_CASE("a time limit inside is a failure") {
        runtime rt;
        circuit_breaker breaker(opens_after(1));
        auto limited = []() -> task<int> {
            int const value = co_await weft::timeout(1s, weft::test::forever());
            co_return value;
        };
        CHECK(rt.block_on(outcome_of(breaker.run(limited))) == "error timed out");
        CHECK(breaker.state(rt.now()) == circuit_state::open);
    }

    TEST_CASE("a probe that is stopped leaves its place to the next") {
        runtime rt;
        circuit_breaker breaker(opens_after(1));
        (void)rt.block_on(outcome_of(breaker.run(&broken)));
        rt.advance(10s);
        weft::stop_source source;
        source.request_stop();
        CHECK(rt.block_on(outcome_under(source.token(), breaker.run(&weft::test::forever))) ==
              "stopped");
        CHECK(breaker.state(rt.now()) == circuit_state::half_open);
        CHECK(rt.block_on(outcome_of(breaker.run(&good))) == "value 1");
        CHECK(breaker.state(rt.now()) == circuit_state::closed);
    }

    TEST_CASE("of calls that come together to a half-open breaker one is let in") {
        runtime rt;
        circuit_breaker breaker(opens_after(1));
        (void)rt.block_on(outcome_of(breaker.run(&broken)));
        rt.advance(10s);
        auto slow = [] { return weft::test::value_after(1s, 5); };
        auto both = [&]() -> task<std::string> {
            auto [first, second] = co_await weft::when_all(outcome_of(breaker.run(slow)),
                                                           outcome_of(breaker.run(slow)));
            co_return first + ", " + second;
        };
        CHECK(rt.block_on(both()) == "value 5, error rejected: circuit open");
    }

    TEST_CASE("isolation and reset by hand take effect at once") {
        runtime rt;
        circuit_breaker breaker;
        breaker.isolate();
        CHECK(rt.block_on(outcome_of(breaker.run(&good))) == "error rejected: circuit open");
        breaker.reset();
        CHECK(rt.block_on(outcome_of(breaker.run(&good))) == "value 1");
    }
}
