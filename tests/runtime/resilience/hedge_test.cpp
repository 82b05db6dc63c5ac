#include <weft/runtime/resilience/hedge.hpp>

#include <weft/runtime/join/when_all.hpp>
#include <weft/runtime/scope/stop_on.hpp>
#include <weft/runtime/testing/test_runtime.hpp>
#include <weft/runtime/time/timeout.hpp>
#include <weft/tests/support/counted.hpp>
#include <weft/tests/support/outcome.hpp>
#include <weft/tests/support/seed.hpp>
#include <weft/tests/support/small_tasks.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using weft::hedge;
using weft::hedge_options;
using weft::task;
using weft::test::outcome_of;
using weft::test::outcome_under;
using weft::test::runtime;

hedge_options every(weft::clock::duration delay, unsigned attempts) {
    hedge_options options;
    options.delay = delay;
    options.attempts = attempts;
    return options;
}

struct attempt_script {
    weft::clock::duration takes;
    bool fails = false;
};

/// Attempts that end as scripted, the first one first; each gives its number, from 1.
class service {
public:
    explicit service(std::vector<attempt_script> scripts) : scripts_(std::move(scripts)) {}

    task<int> operator()() {
        attempt_script const script = scripts_.at(static_cast<std::size_t>(started));
        return attempt(*this, script, ++started);
    }

    int started = 0;
    int ended = 0;
    int stopped = 0;

private:
    /// Tells how its frame came to its end.
    class ending {
    public:
        explicit ending(service& owner) noexcept : owner_(owner) {}

        ending(ending const&) = delete;
        ending& operator=(ending const&) = delete;

        ~ending() { ++(finished ? owner_.ended : owner_.stopped); }

        bool finished = false;

    private:
        service& owner_;
    };

    static task<int> attempt(service& self, attempt_script script, int number) {
        ending how(self);
        co_await weft::sleep_for(script.takes);
        how.finished = true;
        if (script.fails) {
            throw std::runtime_error("attempt " + std::to_string(number));
        }
        co_return number;
    }

    std::vector<attempt_script> scripts_;
};

task<int> call(hedge& policy, service& work) {
    return policy.run([&work] { return work(); });
}

weft::clock::duration rounded(weft::clock::duration measured) {
    return std::chrono::round<std::chrono::milliseconds>(measured);
}

}  // namespace

TEST_SUITE("runtime/resilience/hedge") {
    TEST_CASE("a fast attempt stays alone") {
        runtime rt;
        hedge policy(every(100ms, 3));
        service work({{50ms}});
        auto const start = rt.now();
        CHECK(rt.block_on(outcome_of(call(policy, work))) == "value 1");
        CHECK(rounded(rt.now() - start) == 50ms);
        CHECK(policy.counters().won_by_first == 1);
        CHECK(policy.counters().attempts == 1);
    }

    TEST_CASE("a slow attempt gets company, and the loser is stopped and waited for") {
        runtime rt;
        hedge policy(every(100ms, 2));
        service work({{24h}, {50ms}});
        auto const start = rt.now();
        CHECK(rt.block_on(outcome_of(call(policy, work))) == "value 2");
        CHECK(rounded(rt.now() - start) == 150ms);
        CHECK(work.stopped == 1);
        CHECK(work.ended == 1);
        CHECK(policy.counters().won_by_hedge == 1);
    }

    TEST_CASE("the first attempt can still win after the second has begun") {
        runtime rt;
        hedge policy(every(100ms, 2));
        service work({{120ms}, {24h}});
        CHECK(rt.block_on(outcome_of(call(policy, work))) == "value 1");
        CHECK(work.started == 2);
        CHECK(policy.counters().won_by_first == 1);
    }

    TEST_CASE("no more attempts start than allowed, one per delay") {
        runtime rt;
        hedge policy(every(100ms, 3));
        service work({{1s}, {1s}, {1s}, {1s}});
        auto const start = rt.now();
        CHECK(rt.block_on(outcome_of(call(policy, work))) == "value 1");
        CHECK(rounded(rt.now() - start) == 1s);
        CHECK(work.started == 3);
        CHECK(work.stopped == 2);
    }

    TEST_CASE("with no delay all attempts start at once") {
        runtime rt;
        hedge policy(every(0s, 3));
        service work({{3s}, {2s}, {1s}});
        auto const start = rt.now();
        CHECK(rt.block_on(outcome_of(call(policy, work))) == "value 3");
        CHECK(rounded(rt.now() - start) == 1s);
    }

    TEST_CASE("an attempt that fails makes the next one start at once") {
        runtime rt;
        hedge policy(every(1h, 3));
        service work({{10ms, true}, {10ms, true}, {10ms}});
        auto const start = rt.now();
        CHECK(rt.block_on(outcome_of(call(policy, work))) == "value 3");
        CHECK(rounded(rt.now() - start) == 30ms);
        CHECK(policy.counters().won_by_hedge == 1);
    }

    TEST_CASE("when every attempt fails the last error is the result") {
        runtime rt;
        hedge policy(every(100ms, 2));
        service work({{1s, true}, {300ms, true}});
        auto const start = rt.now();
        CHECK(rt.block_on(outcome_of(call(policy, work))) == "error attempt 1");
        CHECK(rounded(rt.now() - start) == 1s);
        CHECK(policy.counters().failed == 1);
    }

    TEST_CASE("an error that others cannot mend ends the call and stops them") {
        runtime rt;
        hedge_options options = every(100ms, 3);
        options.retries = &weft::transient_error;
        hedge policy(options);
        service work({{24h}, {50ms, true}, {1ms}});
        auto const start = rt.now();
        CHECK(rt.block_on(outcome_of(call(policy, work))) == "error attempt 2");
        CHECK(rounded(rt.now() - start) == 150ms);
        CHECK(work.stopped == 1);
        CHECK(work.started == 2);
    }

    TEST_CASE("an empty budget leaves the first attempt alone, and its error is the result") {
        runtime rt;
        weft::retry_budget_options nothing;
        nothing.per_call = 0;
        nothing.per_second = 0;
        nothing.saved_up_most = 0;
        weft::retry_budget budget(nothing);
        hedge_options options = every(100ms, 3);
        options.budget = &budget;
        hedge policy(options);
        service slow({{1s}, {1s}});
        CHECK(rt.block_on(outcome_of(call(policy, slow))) == "value 1");
        CHECK(slow.started == 1);
        service broken({{1s, true}, {1s}});
        CHECK(rt.block_on(outcome_of(call(policy, broken))) == "error attempt 1");
        service at_once({{1ms, true}, {1s}});
        CHECK(rt.block_on(outcome_of(call(policy, at_once))) == "error attempt 1");
        CHECK(policy.counters().refused_by_budget == 3);
        CHECK(budget.counters().calls == 3);
    }

    TEST_CASE("the delay follows the percentile of recent attempts once there are enough") {
        runtime rt;
        hedge_options options = every(1h, 2);
        options.percentile = 0.9;
        options.samples = 10;
        hedge policy(options);
        for (int i = 1; i <= 10; ++i) {
            CHECK(policy.current_delay() == 1h);
            service work({{std::chrono::milliseconds(10 * i)}});
            (void)rt.block_on(call(policy, work));
        }
        CHECK(rounded(policy.current_delay()) == 90ms);
        service slow({{24h}, {5ms}});
        auto const start = rt.now();
        CHECK(rt.block_on(outcome_of(call(policy, slow))) == "value 2");
        CHECK(rounded(rt.now() - start) == 95ms);
    }

    TEST_CASE("a stop of the caller stops every attempt") {
        runtime rt;
        hedge policy(every(100ms, 3));
        service work({{24h}, {24h}, {24h}});
        auto limited = [&]() -> task<int> {
            int const value = co_await weft::timeout(1s, call(policy, work));
            co_return value;
        };
        CHECK(rt.block_on(outcome_of(limited())) == "error timed out");
        CHECK(work.stopped == 3);
        CHECK(policy.counters().stopped == 1);
        CHECK(rt.task_count() == 0);
    }

    TEST_CASE("a call that is stopped before it begins ends as stopped") {
        runtime rt;
        hedge policy(every(100ms, 3));
        service work({{1s}, {1s}, {1s}});
        weft::stop_source source;
        source.request_stop();
        CHECK(rt.block_on(outcome_under(source.token(), call(policy, work))) == "stopped");
        CHECK(work.ended == 0);
    }

    TEST_CASE("a result that is there when the stop comes is delivered") {
        runtime rt;
        hedge policy(every(100ms, 2));
        weft::stop_source source;
        auto wins_and_stops = [&source]() -> task<int> {
            return [](weft::stop_source& s) -> task<int> {
                s.request_stop();
                co_return 4;
            }(source);
        };
        CHECK(rt.block_on(outcome_under(source.token(), policy.run(wins_and_stops))) == "value 4");
    }

    TEST_CASE("what the factory throws makes the next attempt start at once") {
        runtime rt;
        hedge policy(every(100ms, 2));
        int calls = 0;
        auto throws_once = [&calls]() -> task<int> {  // not a coroutine
            if (++calls == 1) {
                throw std::runtime_error("no task");
            }
            return weft::test::value(calls);
        };
        auto const start = rt.now();
        CHECK(rt.block_on(outcome_of(policy.run(throws_once))) == "value 2");
        CHECK(rt.now() == start);
        CHECK(policy.counters().attempts == 2);
    }

    TEST_CASE("values that can only be moved, references, and none at all are delivered") {
        runtime rt;
        hedge policy(every(100ms, 2));
        int target = 3;
        auto refer = [&target] { return [](int& t) -> task<int&> { co_return t; }(target); };
        auto nothing = [&target] {
            return [](int& t) -> task<> {
                ++t;
                co_return;
            }(target);
        };
        CHECK(&rt.block_on(policy.run(refer)) == &target);
        rt.block_on(policy.run(nothing));
        CHECK(target == 4);
    }

    TEST_CASE("of attempts that race on several workers one value is kept and no other leaks") {
        auto const seed = weft::test::fresh_seed();
        CAPTURE(seed);
        weft::test::random_numbers random(seed);
        weft::test::object_count objects;
        runtime rt({.workers = 2});
        hedge policy(every(1us, 4));
        for (int round = 0; round < 2'000; ++round) {
            std::vector<std::pair<int, bool>> scripts;
            for (int i = 0; i < 4; ++i) {
                scripts.emplace_back(static_cast<int>(random.below(4)), random.one_in(4));
            }
            weft::stop_source source;
            std::atomic<std::size_t> next = 0;
            auto attempt = [&] {
                return [](std::pair<int, bool> script,
                          weft::test::object_count& count) -> task<weft::test::counted> {
                    co_await weft::sleep_for(std::chrono::microseconds(script.first));
                    if (script.second) {
                        throw std::runtime_error("scripted");
                    }
                    co_return weft::test::counted(count, 1);
                }(scripts[next++], objects);
            };
            auto watched = [&]() -> task<int> {
                auto const value = co_await policy.run(attempt);
                co_return value.value;
            };
            auto stop_soon = [&](int turns) -> task<> {
                for (int i = 0; i < turns; ++i) {
                    co_await weft::yield();
                }
                source.request_stop();
            };
            auto both = [&]() -> task<std::string> {
                auto [text, done] =
                    co_await weft::when_all(outcome_under(source.token(), watched()),
                                            stop_soon(static_cast<int>(random.below(12))));
                co_return text;
            };
            std::string const text = rt.block_on(both());
            bool const known = text == "value 1" || text == "error scripted" || text == "stopped";
            CHECK(known);
        }
        CHECK(objects.alive == 0);
        auto const seen = policy.counters();
        CHECK(seen.calls == seen.won_by_first + seen.won_by_hedge + seen.failed + seen.stopped);
    }
}
