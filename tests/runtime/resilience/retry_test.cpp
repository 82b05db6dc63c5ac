#include <weft/runtime/resilience/retry.hpp>

#include <weft/runtime/join/when_all.hpp>
#include <weft/runtime/scope/stop_on.hpp>
#include <weft/runtime/task/as_result.hpp>
#include <weft/runtime/testing/test_runtime.hpp>
#include <weft/runtime/time/timeout.hpp>
#include <weft/tests/support/outcome.hpp>
#include <weft/tests/support/small_tasks.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using weft::retry;
using weft::retry_options;
using weft::task;
using weft::test::outcome_of;
using weft::test::outcome_under;
using weft::test::runtime;

/// Fails as often as it is told, then succeeds.
class flaky {
public:
    explicit flaky(int failures) noexcept : left_(failures) {}

    task<int> operator()() { return attempt(*this); }

    int attempts = 0;

private:
    static task<int> attempt(flaky& self) {
        co_await weft::yield();
        ++self.attempts;
        if (self.left_-- > 0) {
            throw std::system_error(std::make_error_code(std::errc::connection_refused), "flaky");
        }
        co_return self.attempts;
    }

    int left_;
};

/// Pauses of exactly 1 s, 2 s, 4 s, …
retry_options steady(unsigned attempts) {
    retry_options options;
    options.attempts = attempts;
    options.pauses.first = 1s;
    options.pauses.longest = 1h;
    options.pauses.spread = weft::jitter::none;
    return options;
}

task<int> run_on(retry& policy, flaky& work) {
    return policy.run([&work] { return work(); });
}

}  // namespace

TEST_SUITE("runtime/resilience/retry") {
    TEST_CASE("work that succeeds at once is run once") {
        runtime rt;
        retry policy(steady(5));
        flaky work(0);
        CHECK(rt.block_on(run_on(policy, work)) == 1);
        auto const seen = policy.counters();
        CHECK(seen.calls == 1);
        CHECK(seen.attempts == 1);
        CHECK(seen.successes == 1);
        CHECK(seen.recoveries == 0);
    }

    TEST_CASE("work that fails is run again after pauses that double") {
        runtime rt;
        retry policy(steady(5));
        flaky work(3);
        auto const start = rt.now();
        CHECK(rt.block_on(run_on(policy, work)) == 4);
        CHECK(std::chrono::round<std::chrono::milliseconds>(rt.now() - start) == 7s);
        CHECK(policy.counters().recoveries == 1);
        CHECK(policy.counters().attempts == 4);
    }

    TEST_CASE("after the last attempt its error is the result") {
        runtime rt;
        retry policy(steady(3));
        flaky work(100);
        auto const ended = [](retry& p, flaky& w) -> task<std::error_code> {
            auto const result = co_await (run_on(p, w) | weft::as_result);
            co_return result.error();
        };
        CHECK(rt.block_on(ended(policy, work)) == std::errc::connection_refused);
        CHECK(work.attempts == 3);
        CHECK(policy.counters().exhausted == 1);
    }

    TEST_CASE("an error that the predicate does not want again ends the call") {
        runtime rt;
        retry_options options = steady(3);
        options.retries = &weft::transient_error;
        retry policy(options);
        int attempts = 0;
        auto work = [&attempts] {
            ++attempts;
            return weft::test::fails("broken");
        };
        CHECK(rt.block_on(outcome_of(policy.run(work))) == "error broken");
        CHECK(attempts == 1);
        CHECK(policy.counters().not_retried == 1);
    }

    TEST_CASE("a call may bring a predicate with captures") {
        runtime rt;
        retry policy(steady(10));
        flaky work(100);
        int asked = 0;
        auto twice = [&asked](std::exception_ptr const& error) {
            return weft::error_code_in(error) == std::errc::connection_refused && ++asked < 3;
        };
        auto call = policy.run([&work] { return work(); }, twice);
        CHECK(rt.block_on(outcome_of(std::move(call))).starts_with("error"));
        CHECK(work.attempts == 3);
    }

    TEST_CASE("an empty budget ends the call with the error at hand") {
        runtime rt;
        weft::retry_budget_options scarce;
        scarce.per_call = 0;
        scarce.per_second = 0;
        scarce.saved_up_most = 1;
        weft::retry_budget budget(scarce);
        retry_options options = steady(10);
        options.budget = &budget;
        retry policy(options);
        flaky work(100);
        CHECK(rt.block_on(outcome_of(run_on(policy, work))).starts_with("error"));
        CHECK(work.attempts == 2);
        CHECK(policy.counters().refused_by_budget == 1);
        CHECK(budget.counters().granted == 1);
        CHECK(budget.counters().calls == 1);
    }

    TEST_CASE("a pause that would outlast the deadline is not begun") {
        runtime rt;
        retry policy(steady(10));
        flaky work(100);
        auto const start = rt.now();
        auto limited = [](retry& p, flaky& w) -> task<int> {
            int const value = co_await weft::timeout(4s, run_on(p, w));
            co_return value;
        };
        CHECK(rt.block_on(outcome_of(limited(policy, work))) == "error flaky: Connection refused");
        CHECK(std::chrono::round<std::chrono::milliseconds>(rt.now() - start) == 3s);
        CHECK(work.attempts == 3);
        CHECK(policy.counters().out_of_time == 1);
    }

    TEST_CASE("a deadline during an attempt stops the call") {
        runtime rt;
        retry policy(steady(10));
        auto limited = [](retry& p) -> task<int> {
            int const value = co_await weft::timeout(4s, p.run(&weft::test::forever));
            co_return value;
        };
        CHECK(rt.block_on(outcome_of(limited(policy))) == "error timed out");
        CHECK(policy.counters().stopped == 1);
        CHECK(policy.counters().attempts == 1);
    }

    TEST_CASE("a call that is stopped before it begins makes no attempt") {
        runtime rt;
        retry policy(steady(10));
        flaky work(100);
        weft::stop_source source;
        source.request_stop();
        CHECK(rt.block_on(outcome_under(source.token(), run_on(policy, work))) == "stopped");
        CHECK(work.attempts == 0);
        CHECK(policy.counters().stopped == 1);
    }

    TEST_CASE("a stop during a pause ends the call without another attempt") {
        runtime rt;
        retry policy(steady(10));
        flaky work(100);
        weft::stop_source source;
        auto stop_soon = [](weft::stop_source& s) -> task<int> {
            co_await weft::sleep_for(2s);
            s.request_stop();
            co_return 0;
        };
        auto both = [&]() -> task<std::string> {
            auto [text, done] = co_await weft::when_all(
                outcome_under(source.token(), run_on(policy, work)), stop_soon(source));
            co_return text;
        };
        auto const start = rt.now();
        CHECK(rt.block_on(both()) == "stopped");
        CHECK(std::chrono::round<std::chrono::milliseconds>(rt.now() - start) == 2s);
        CHECK(work.attempts == 2);
        CHECK(policy.counters().stopped == 1);
    }

    TEST_CASE("an attempt that ignores the stop delivers its value") {
        runtime rt;
        retry policy(steady(10));
        weft::stop_source source;
        auto ignores = [&]() -> task<int> {
            source.request_stop();
            co_return 9;
        };
        CHECK(rt.block_on(outcome_under(source.token(), policy.run(ignores))) == "value 9");
    }

    TEST_CASE("a factory may own what cannot be copied, and its tasks may give nothing") {
        runtime rt;
        retry policy(steady(3));
        int calls = 0;
        auto factory = [&calls, limit = std::make_unique<int>(2)] {
            return [](int& count, int enough) -> task<> {
                if (++count < enough) {
                    throw std::runtime_error("once");
                }
                co_return;
            }(calls, *limit);
        };
        auto call = policy.run(std::move(factory));
        rt.block_on(std::move(call));
        CHECK(calls == 2);
    }

    TEST_CASE("what a factory throws by itself is tried again") {
        runtime rt;
        retry policy(steady(3));
        int calls = 0;
        auto factory = [&calls]() -> task<int> {  // not a coroutine
            if (++calls < 3) {
                throw std::runtime_error("no task");
            }
            return weft::test::value(7);
        };
        CHECK(rt.block_on(outcome_of(policy.run(factory))) == "value 7");
        CHECK(policy.counters().attempts == 3);
        CHECK(policy.counters().recoveries == 1);
        CHECK(policy.counters().stopped == 0);
    }

    TEST_CASE("many calls on several workers are all counted") {
        runtime rt({.workers = 2});
        weft::random_source random(7);
        retry_options options = steady(4);
        options.pauses.spread = weft::jitter::full;
        options.random = &random;
        retry policy(options);
        auto many = [&]() -> task<int> {
            std::vector<flaky> work(100, flaky(2));
            std::vector<task<int>> calls;
            for (flaky& each : work) {
                calls.push_back(run_on(policy, each));
            }
            int sum = 0;
            for (int each : co_await weft::when_all(std::move(calls))) {
                sum += each;
            }
            co_return sum;
        };
        CHECK(rt.block_on(many()) == 300);
        CHECK(policy.counters().calls == 100);
        CHECK(policy.counters().attempts == 300);
        CHECK(policy.counters().recoveries == 100);
    }
}
