#include <weft/runtime/resilience/pipeline.hpp>

#include <weft/runtime/resilience/bulkhead.hpp>
#include <weft/runtime/resilience/circuit_breaker.hpp>
#include <weft/runtime/resilience/fallback.hpp>
#include <weft/runtime/resilience/hedge.hpp>
#include <weft/runtime/resilience/rate_limiter.hpp>
#include <weft/runtime/resilience/retry.hpp>
#include <weft/runtime/resilience/single_flight.hpp>
#include <weft/runtime/resilience/time_limit.hpp>
#include <weft/runtime/scope/stop_on.hpp>
#include <weft/runtime/task/as_result.hpp>
#include <weft/runtime/testing/test_runtime.hpp>
#include <weft/tests/support/outcome.hpp>
#include <weft/tests/support/small_tasks.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using weft::pipeline;
using weft::task;
using weft::task_factory;
using weft::test::outcome_of;
using weft::test::outcome_under;
using weft::test::runtime;

/// Writes down when work enters and leaves.
class tracer {
public:
    tracer(std::string& log, char name) noexcept : log_(log), name_(name) {}

    template <task_factory F>
    task<weft::factory_value_t<F>> run(F factory) {
        log_ += name_;
        auto inner = factory();
        auto value = co_await std::move(inner);
        log_ += name_;
        co_return value;
    }

private:
    std::string& log_;
    char name_;
};

weft::retry_options steady(unsigned attempts) {
    weft::retry_options options;
    options.attempts = attempts;
    options.pauses.first = 1s;
    options.pauses.spread = weft::jitter::none;
    return options;
}

}  // namespace

TEST_SUITE("runtime/resilience/pipeline") {
    TEST_CASE("the first policy is the outermost") {
        runtime rt;
        std::string log;
        tracer a(log, 'a');
        tracer b(log, 'b');
        tracer c(log, 'c');
        auto work = [&log] {
            log += '*';
            return weft::test::value(7);
        };
        CHECK(rt.block_on(pipeline(a, b, c).run(work)) == 7);
        CHECK(log == "abc*cba");
    }

    TEST_CASE("without policies the work is run as it is") {
        runtime rt;
        CHECK(rt.block_on(pipeline<>().run([] { return weft::test::value(3); })) == 3);
    }

    TEST_CASE("a retry above a time limit limits each attempt") {
        runtime rt;
        weft::retry again(steady(3));
        weft::time_limit limit(500ms);
        int attempts = 0;
        auto work = [&attempts] {
            ++attempts;
            return weft::test::value_after(attempts < 3 ? 24h : 1ms, attempts);
        };
        auto const start = rt.now();
        CHECK(rt.block_on(outcome_of(pipeline(again, limit).run(work))) == "value 3");
        CHECK(std::chrono::round<std::chrono::milliseconds>(rt.now() - start) == 4001ms);
        CHECK(limit.counters().timed_out == 2);
    }

    TEST_CASE("a time limit above a retry limits the whole call") {
        runtime rt;
        weft::retry again(steady(10));
        weft::time_limit limit(2500ms);
        auto const start = rt.now();
        auto call = pipeline(limit, again).run([] { return weft::test::fails_after(1s, "slow"); });
        CHECK(rt.block_on(outcome_of(std::move(call))) == "error timed out");
        CHECK(std::chrono::round<std::chrono::milliseconds>(rt.now() - start) == 2500ms);
        CHECK(again.counters().stopped == 1);
    }

    TEST_CASE("all policies together: a broken service, a refusal, a fallback") {
        runtime rt;
        weft::fallback otherwise([] { return weft::test::value(-1); });
        weft::retry again(steady(2));
        weft::circuit_breaker_options fragile;
        fragile.failures = 3;
        fragile.open_for = 1min;
        weft::circuit_breaker breaker(fragile);
        weft::rate_limiter limiter;
        weft::bulkhead room;
        weft::time_limit limit(1s);
        pipeline const client(otherwise, again, breaker, limiter, room, limit);

        int started = 0;
        bool is_down = true;
        auto work = [&] {
            ++started;
            return is_down ? weft::test::fails("down") : weft::test::value(started);
        };
        CHECK(rt.block_on(outcome_of(client.run(work))) == "value -1");
        CHECK(started == 2);
        CHECK(rt.block_on(outcome_of(client.run(work))) == "value -1");
        CHECK(started == 3);
        CHECK(breaker.state(rt.now()) == weft::circuit_state::open);
        CHECK(breaker.counters().rejected == 1);
        CHECK(limiter.counters().admitted == 3);

        is_down = false;
        rt.advance(2min);
        CHECK(rt.block_on(outcome_of(client.run(work))) == "value 4");
        CHECK(breaker.state(rt.now()) == weft::circuit_state::closed);
        CHECK(room.counters().admitted == 4);
        CHECK(otherwise.counters().recoveries == 2);
        CHECK(otherwise.counters().successes == 1);
    }

    TEST_CASE("a stop passes through every policy and leaves nothing behind") {
        runtime rt;
        weft::fallback otherwise([] { return weft::test::value(-1); });
        weft::retry again(steady(2));
        weft::hedge beside;
        weft::circuit_breaker breaker;
        weft::rate_limiter limiter;
        weft::bulkhead room;
        weft::time_limit limit(1h);
        pipeline const client(otherwise, again, beside, breaker, limiter, room, limit);
        weft::stop_source source;
        auto stop_soon = [&source]() -> task<int> {
            source.request_stop();
            return weft::test::forever();
        };
        CHECK(rt.block_on(outcome_under(source.token(), client.run(stop_soon))) == "stopped");
        CHECK(room.counters().running == 0);
        CHECK(otherwise.counters().stopped == 1);
        CHECK(again.counters().stopped == 1);
        CHECK(beside.counters().stopped == 1);
        CHECK(breaker.counters().stopped == 1);
        CHECK(weft::detail::frame_pool::live_frames() == 0);
    }

    TEST_CASE("a pipeline tells what each of its policies has counted, in their order") {
        runtime rt;
        weft::retry again(steady(3));
        std::string log;
        tracer counts_nothing(log, 'x');
        weft::single_flight<int, int> flights;
        auto of_seven = flights.keyed(7);
        weft::time_limit limit(1s);
        pipeline const client(again, counts_nothing, of_seven, limit);
        int attempts = 0;
        auto work = [&attempts] {
            return ++attempts < 3 ? weft::test::fails("down") : weft::test::value(attempts);
        };
        CHECK(rt.block_on(outcome_of(client.run(work))) == "value 3");
        auto const [tries, nothing, shared, limited] = client.counters();
        static_assert(std::is_same_v<decltype(nothing), weft::unit const>);
        CHECK(tries.attempts == 3);
        CHECK(shared.flights == 3);
        CHECK(limited.calls == 3);
    }

    TEST_CASE("every policy's call can be taken as a result") {
        runtime rt;
        weft::retry again(steady(1));
        weft::circuit_breaker breaker;
        breaker.isolate();
        pipeline const client(again, breaker);
        auto watched = [&]() -> task<std::error_code> {
            auto call = client.run([] { return weft::test::value(1); });
            auto const ended = co_await (std::move(call) | weft::as_result);
            co_return ended.error();
        };
        CHECK(rt.block_on(watched()) == weft::errc::circuit_open);
    }
}
