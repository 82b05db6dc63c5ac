#include <weft/runtime/resilience/single_flight.hpp>

#include <weft/runtime/join/when_all.hpp>
#include <weft/runtime/resilience/pipeline.hpp>
#include <weft/runtime/resilience/retry.hpp>
#include <weft/runtime/testing/test_runtime.hpp>
#include <weft/runtime/time/timeout.hpp>
#include <weft/tests/support/outcome.hpp>
#include <weft/tests/support/seed.hpp>
#include <weft/tests/support/small_tasks.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using namespace std::chrono_literals;
using weft::task;
using weft::test::outcome_of;
using weft::test::outcome_under;
using weft::test::runtime;

using flights = weft::single_flight<std::string, int>;

/// Work that takes its time, and counts how often it began and came to its end.
struct slow_work {
    task<int> operator()() const { return run(*begun, *ended, takes, fails); }

    static task<int> run(std::atomic<int>& begun,
                         std::atomic<int>& ended,
                         weft::clock::duration takes,
                         bool fails) {
        int const number = ++begun;
        co_await weft::sleep_for(takes);
        ++ended;
        if (fails) {
            throw std::runtime_error("work failed");
        }
        co_return number;
    }

    std::atomic<int>* begun;
    std::atomic<int>* ended;
    weft::clock::duration takes = 1s;
    bool fails = false;
};

/// The same, but one of its moves throws.
struct reluctant_work {
    reluctant_work(slow_work does, int* moves, int at) : work(does), moved(moves), fails_at(at) {}

    reluctant_work(reluctant_work const& other)
        : work(other.work)
        , moved(other.moved)
        , fails_at(other.fails_at) {
        if ((*moved)++ == fails_at) {
            throw std::runtime_error("not moved");
        }
    }

    task<int> operator()() const { return work(); }

    slow_work work;
    int* moved;
    int fails_at;
};

struct counts {
    std::atomic<int> begun{0};
    std::atomic<int> ended{0};

    [[nodiscard]] slow_work work(bool fails = false) {
        return slow_work{&begun, &ended, 1s, fails};
    }
};

task<std::string> call_after(weft::clock::duration delay, flights& shared, slow_work work) {
    co_await weft::sleep_for(delay);
    std::string text = co_await outcome_of(shared.run("key", work));
    co_return text;
}

/// The same, stopped through `token`.
task<std::string> guarded(weft::stop_token token,
                          weft::clock::duration delay,
                          flights& shared,
                          slow_work work) {
    co_await weft::sleep_for(delay);
    std::string text = co_await outcome_under(token, shared.run("key", work));
    co_return text;
}

task<std::string> stop_after(weft::clock::duration delay, weft::stop_source& source) {
    co_await weft::sleep_for(delay);
    source.request_stop();
    co_return "";
}

template <class... Calls>
std::string together(runtime& rt, Calls... calls) {
    std::vector<task<std::string>> all;
    (all.push_back(std::move(calls)), ...);
    auto join = [](std::vector<task<std::string>> tasks) -> task<std::string> {
        std::string text;
        for (std::string const& each : co_await weft::when_all(std::move(tasks))) {
            text += text.empty() || each.empty() ? each : ", " + each;
        }
        co_return text;
    };
    return rt.block_on(join(std::move(all)));
}

/// Loads that need one another: number i, of `length` in a ring, needs the next one, until `depth`
/// have been needed. Odd and even numbers have flights of their own.
class ring_of_loads {
public:
    task<int> load(int number, int length, int depth) {
        auto work = [this, number, length, depth]() -> task<int> {
            co_await weft::sleep_for(1s);
            if (depth == 0) {
                co_return 1;
            }
            int const value = co_await load((number + 1) % length, length, depth - 1);
            co_return value;
        };
        int const value = co_await flights_[number % 2].run(number, work);
        co_return value;
    }

    [[nodiscard]] weft::single_flight_counters counters() const {
        auto sum = flights_[0].counters();
        sum.in_flight += flights_[1].counters().in_flight;
        return sum;
    }

private:
    weft::single_flight<int, int> flights_[2];
};

}  // namespace

TEST_SUITE("runtime/resilience/single_flight") {
    TEST_CASE("calls that come while the work runs share its value") {
        runtime rt;
        flights shared;
        counts seen;
        auto const start = rt.now();
        CHECK(together(rt,
                       call_after(0s, shared, seen.work()),
                       call_after(100ms, shared, seen.work()),
                       call_after(900ms, shared, seen.work())) == "value 1, value 1, value 1");
        CHECK(std::chrono::round<std::chrono::milliseconds>(rt.now() - start) == 1s);
        CHECK(seen.begun == 1);
        auto const told = shared.counters();
        CHECK(told.calls == 3);
        CHECK(told.flights == 1);
        CHECK(told.shared == 2);
        CHECK(told.in_flight == 0);
    }

    TEST_CASE("a call that comes after the end runs the work anew") {
        runtime rt;
        flights shared;
        counts seen;
        CHECK(together(rt,
                       call_after(0s, shared, seen.work()),
                       call_after(1100ms, shared, seen.work())) == "value 1, value 2");
    }

    TEST_CASE("calls with different keys do not wait for each other") {
        runtime rt;
        flights shared;
        counts seen;
        auto call = [&](char const* key) { return outcome_of(shared.run(key, seen.work())); };
        auto const start = rt.now();
        (void)together(rt, call("a"), call("b"), call("a"));
        CHECK(std::chrono::round<std::chrono::milliseconds>(rt.now() - start) == 1s);
        CHECK(seen.begun == 2);
    }

    TEST_CASE("an error is shared as well") {
        runtime rt;
        flights shared;
        counts seen;
        CHECK(together(rt,
                       call_after(0s, shared, seen.work(true)),
                       call_after(100ms, shared, seen.work())) ==
              "error work failed, error work failed");
    }

    TEST_CASE("what the factory throws by itself is an error of the work") {
        runtime rt;
        flights shared;
        auto throws = []() -> task<int> {  // not a coroutine
            throw std::runtime_error("no task");
        };
        CHECK(rt.block_on(outcome_of(shared.run("key", throws))) == "error no task");
        CHECK(shared.counters().in_flight == 0);
    }

    TEST_CASE("a factory that cannot be kept is an error of every call, not a stop") {
        for (int fails_at = 0; fails_at < 8; ++fails_at) {
            CAPTURE(fails_at);
            runtime rt;
            flights shared;
            counts seen;
            int moves = -10;
            task<int> call = shared.run("key", reluctant_work(seen.work(), &moves, fails_at));
            moves = 0;
            std::string const text = rt.block_on(outcome_of(std::move(call)));
            CHECK((text == "error not moved" || text == "value 1"));
            CHECK(shared.counters().in_flight == 0);
            if (text == "value 1") {
                CHECK(fails_at > 1);
                break;
            }
        }
    }

    TEST_CASE("the stop of the caller that began the work leaves it to the others") {
        runtime rt;
        flights shared;
        counts seen;
        weft::stop_source source;
        CHECK(together(rt,
                       guarded(source.token(), 0s, shared, seen.work()),
                       call_after(100ms, shared, seen.work()),
                       stop_after(500ms, source)) == "stopped, value 1");
        CHECK(seen.begun == 1);
        CHECK(shared.counters().left == 1);
        CHECK(shared.counters().abandoned == 0);
    }

    TEST_CASE("the stop of the last caller stops the work") {
        runtime rt;
        flights shared;
        counts seen;
        weft::stop_source source;
        auto const start = rt.now();
        CHECK(together(rt,
                       guarded(source.token(), 0s, shared, seen.work()),
                       guarded(source.token(), 100ms, shared, seen.work()),
                       stop_after(500ms, source)) == "stopped, stopped");
        CHECK(std::chrono::round<std::chrono::milliseconds>(rt.now() - start) == 500ms);
        CHECK(seen.begun == 1);
        CHECK(seen.ended == 0);
        CHECK(shared.counters().abandoned == 1);
        CHECK(rt.task_count() == 0);
    }

    TEST_CASE("who comes after the work was abandoned begins it anew") {
        runtime rt;
        flights shared;
        counts seen;
        weft::stop_source source;
        CHECK(together(rt,
                       guarded(source.token(), 0s, shared, seen.work()),
                       stop_after(500ms, source),
                       call_after(500ms, shared, seen.work())) == "stopped, value 2");
    }

    TEST_CASE("abandoned work that succeeds nevertheless delivers its value") {
        runtime rt;
        flights shared;
        weft::stop_source source;
        auto stubborn = [&source]() -> task<int> {
            return [](weft::stop_source& s) -> task<int> {
                s.request_stop();
                co_return 5;
            }(source);
        };
        CHECK(rt.block_on(outcome_under(source.token(), shared.run("key", stubborn))) == "value 5");
        CHECK(shared.counters().abandoned == 1);
    }

    TEST_CASE("a call that is stopped before it begins begins nothing") {
        runtime rt;
        flights shared;
        counts seen;
        weft::stop_source source;
        source.request_stop();
        CHECK(rt.block_on(outcome_under(source.token(), shared.run("key", seen.work()))) ==
              "stopped");
        CHECK(seen.begun == 0);
        CHECK(shared.counters().calls == 0);
    }

    TEST_CASE("a caller's deadline ends its own wait only") {
        runtime rt;
        flights shared;
        counts seen;
        auto limited = [](flights& all, slow_work work) -> task<int> {
            int const value = co_await weft::timeout(300ms, all.run("key", work));
            co_return value;
        };
        CHECK(together(rt,
                       outcome_of(limited(shared, seen.work())),
                       call_after(0s, shared, seen.work())) == "error timed out, value 1");
        CHECK(seen.begun == 1);
    }

    TEST_CASE("work without a value, and references, can be shared") {
        runtime rt;
        weft::single_flight<int, void> nothing;
        weft::single_flight<int, int&> reference;
        int target = 0;
        rt.block_on(nothing.run(1, [&target] {
            return [](int& t) -> task<> {
                ++t;
                co_return;
            }(target);
        }));
        CHECK(target == 1);
        int& given = rt.block_on(reference.run(
            1, [&target] { return [](int& t) -> task<int&> { co_return t; }(target); }));
        CHECK(&given == &target);
    }

    TEST_CASE("one key is a policy of a pipeline") {
        runtime rt;
        flights shared;
        weft::retry_options options;
        options.pauses.first = 1ms;
        weft::retry again(options);
        auto by_key = shared.keyed("key");
        weft::pipeline const client(by_key, again);
        int attempts = 0;
        auto flaky = [&attempts] {
            return ++attempts < 3 ? weft::test::fails("flaky") : weft::test::value(attempts);
        };
        CHECK(together(rt, outcome_of(client.run(flaky)), outcome_of(client.run(flaky))) ==
              "value 3, value 3");
        CHECK(attempts == 3);
    }

    TEST_CASE("the object may be destroyed as soon as its calls have ended") {
        runtime rt({.workers = 2});
        for (int round = 0; round < 2'000; ++round) {
            auto one = []() -> task<int> {
                flights shared;
                auto work = [] { return weft::test::value(1); };
                auto first = shared.run("key", work);
                auto second = shared.run("key", work);
                auto [a, b] = co_await weft::when_all(std::move(first), std::move(second));
                co_return a + b;
            };
            CHECK(rt.block_on(one()) == 2);
        }
    }

    TEST_CASE("no flight is lost when stops race callers and landings") {
        auto const seed = weft::test::fresh_seed();
        CAPTURE(seed);
        weft::test::random_numbers random(seed);
        runtime rt({.workers = 2});
        flights shared;
        auto work = [] {
            return []() -> task<int> {
                co_await weft::yield();
                co_return 1;
            }();
        };
        auto guarded_call = [&](weft::stop_token token, int turns) -> task<std::string> {
            for (int i = 0; i < turns; ++i) {
                co_await weft::yield();
            }
            std::string text = co_await outcome_under(token, shared.run("key", work));
            co_return text;
        };
        auto stop_soon = [](weft::stop_source& source, int turns) -> task<std::string> {
            for (int i = 0; i < turns; ++i) {
                co_await weft::yield();
            }
            source.request_stop();
            co_return "value 1";
        };
        for (int round = 0; round < 10'000; ++round) {
            weft::stop_source source;
            auto turns = [&random] { return static_cast<int>(random.below(5)); };
            std::vector<task<std::string>> all;
            all.push_back(guarded_call(source.token(), turns()));
            all.push_back(guarded_call(source.token(), turns()));
            all.push_back(guarded_call(weft::stop_token(), turns()));
            all.push_back(stop_soon(source, turns()));
            auto join = [](std::vector<task<std::string>> tasks) -> task<bool> {
                bool known = true;
                for (auto const& each : co_await weft::when_all(std::move(tasks))) {
                    known = known && (each == "value 1" || each == "stopped");
                }
                co_return known;
            };
            CHECK(rt.block_on(join(std::move(all))));
        }
        CHECK(shared.counters().in_flight == 0);
        rt.advance(0s);
        CHECK(rt.task_count() == 0);
    }

    TEST_CASE("work that waits for itself, by way of any other work, is told so at once") {
        runtime rt;
        ring_of_loads loads;
        for (int const length : {1, 2, 3, 10}) {
            CAPTURE(length);
            CHECK(rt.block_on(outcome_of(loads.load(0, length, length))) ==
                  "error single_flight: Resource deadlock avoided");
            CHECK(loads.counters().in_flight == 0);
            CHECK(rt.block_on(outcome_of(loads.load(0, length, 0))) == "value 1");
        }
    }

    TEST_CASE("two runs that come to wait for each other from outside do not both wait on") {
        runtime rt;
        ring_of_loads loads;
        auto all = [&]() -> task<std::string> {
            auto [a, b] = co_await weft::when_all(outcome_of(loads.load(0, 2, 1)),
                                                  outcome_of(loads.load(1, 2, 1)));
            co_return a + ", " + b;
        };
        std::string const both = rt.block_on(all());
        CHECK(both ==
              "error single_flight: Resource deadlock avoided, "
              "error single_flight: Resource deadlock avoided");
        CHECK(loads.counters().in_flight == 0);
    }

    TEST_CASE("work may wait for the same other work in many ways, if not for itself") {
        runtime rt;
        flights shared;
        std::function<task<int>(int)> sum = [&](int depth) -> task<int> {
            auto work = [&sum, depth]() -> task<int> {
                co_await weft::sleep_for(1s);
                if (depth == 0) {
                    co_return 1;
                }
                auto [one, other] = co_await weft::when_all(sum(depth - 1), sum(depth - 1));
                co_return one + other;
            };
            int const value = co_await shared.run(std::to_string(depth), work);
            co_return value;
        };
        CHECK(rt.block_on(outcome_of(sum(16))) == "value 65536");
        CHECK(shared.counters().flights == 17);
    }

    TEST_CASE("a key that was forgotten begins anew, and its callers keep the run they had") {
        runtime rt;
        flights shared;
        counts old_counts;
        counts new_counts;
        auto late = [&]() -> task<int> {
            co_await weft::sleep_for(500ms);
            shared.forget("key");
            shared.forget("key");
            shared.forget("another");
            int const value = co_await shared.run("key", new_counts.work());
            co_return value + 10;
        };
        auto all = [&]() -> task<std::string> {
            auto [a, b, c] =
                co_await weft::when_all(outcome_of(shared.run("key", old_counts.work())),
                                        outcome_of(shared.run("key", old_counts.work())),
                                        outcome_of(late()));
            co_return a + ", " + b + ", " + c;
        };
        CHECK(rt.block_on(all()) == "value 1, value 1, value 11");
        CHECK(old_counts.ended == 1);
        CHECK(new_counts.ended == 1);
        CHECK(shared.counters().in_flight == 0);
        CHECK(shared.counters().flights == 2);
    }
}
