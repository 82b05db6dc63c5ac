#include <weft/runtime/resilience/bulkhead.hpp>

#include <weft/runtime/join/when_all.hpp>
#include <weft/runtime/scope/stop_on.hpp>
#include <weft/runtime/testing/test_runtime.hpp>
#include <weft/runtime/time/timeout.hpp>
#include <weft/tests/support/outcome.hpp>
#include <weft/tests/support/seed.hpp>
#include <weft/tests/support/small_tasks.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <string>
#include <vector>

namespace {

using namespace std::chrono_literals;
using weft::bulkhead;
using weft::bulkhead_options;
using weft::task;
using weft::test::outcome_of;
using weft::test::outcome_under;
using weft::test::runtime;

bulkhead_options room_for(std::size_t concurrent, std::size_t queued) {
    bulkhead_options options;
    options.concurrent = concurrent;
    options.queued = queued;
    return options;
}

/// How many are inside, and the most there ever were.
struct crowd {
    std::atomic<int> inside{0};
    std::atomic<int> most{0};
};

task<int> visit(crowd& seen, weft::clock::duration stay, int value) {
    int const now = ++seen.inside;
    for (int most = seen.most; now > most && !seen.most.compare_exchange_weak(most, now);) {
    }
    co_await weft::sleep_for(stay);
    --seen.inside;
    co_return value;
}

}  // namespace

TEST_SUITE("runtime/resilience/bulkhead") {
    TEST_CASE("no more than the limit run at once, and all that fit the queue run in the end") {
        runtime rt;
        bulkhead room(room_for(3, 7));
        crowd seen;
        auto many = [&]() -> task<int> {
            std::vector<task<int>> calls;
            for (int i = 0; i < 10; ++i) {
                calls.push_back(room.run([&seen] { return visit(seen, 1s, 1); }));
            }
            int sum = 0;
            for (int each : co_await weft::when_all(std::move(calls))) {
                sum += each;
            }
            co_return sum;
        };
        auto const start = rt.now();
        CHECK(rt.block_on(many()) == 10);
        CHECK(std::chrono::round<std::chrono::milliseconds>(rt.now() - start) == 4s);
        CHECK(seen.most == 3);
        auto const told = room.counters();
        CHECK(told.admitted == 10);
        CHECK(told.queued == 7);
        CHECK(told.running == 0);
        CHECK(told.waiting == 0);
    }

    TEST_CASE("calls that wait are let in first come, first served") {
        runtime rt;
        bulkhead room(room_for(1, 10));
        std::vector<int> order;
        auto call = [&](int name) {
            return room.run([&order, name] {
                return [](std::vector<int>& out, int n) -> task<> {
                    out.push_back(n);
                    co_await weft::sleep_for(1ms);
                }(order, name);
            });
        };
        auto all = [&]() -> task<> { co_await weft::when_all(call(0), call(1), call(2), call(3)); };
        rt.block_on(all());
        // The join's first child starts first and the last one next; a call is in line from then.
        REQUIRE(order.size() == 4);
        CHECK(order.front() == 0);
        auto const rest = std::vector<int>(order.begin() + 1, order.end());
        bool const in_order =
            rest == std::vector<int>{1, 2, 3} || rest == std::vector<int>{3, 2, 1};
        CHECK(in_order);
    }

    TEST_CASE("a call that finds the queue full is refused without starting its work") {
        runtime rt;
        bulkhead room(room_for(1, 0));
        crowd seen;
        auto one = [&] { return visit(seen, 1s, 1); };
        auto both = [&]() -> task<std::string> {
            auto [first, second] =
                co_await weft::when_all(outcome_of(room.run(one)), outcome_of(room.run(one)));
            co_return first + ", " + second;
        };
        CHECK(rt.block_on(both()) == "value 1, error rejected: bulkhead full");
        CHECK(seen.most == 1);
        CHECK(room.counters().rejected == 1);
        CHECK(rt.block_on(outcome_of(room.run(one))) == "value 1");
    }

    TEST_CASE("work that fails gives its place back") {
        runtime rt;
        bulkhead room(room_for(1, 0));
        for (int i = 0; i < 3; ++i) {
            CHECK(rt.block_on(outcome_of(room.run([] { return weft::test::fails("broken"); }))) ==
                  "error broken");
        }
        CHECK(room.counters().running == 0);
    }

    TEST_CASE("a call that is stopped before it begins takes no place") {
        runtime rt;
        bulkhead room(room_for(1, 1));
        weft::stop_source source;
        source.request_stop();
        auto call = room.run([] { return weft::test::value(1); });
        CHECK(rt.block_on(outcome_under(source.token(), std::move(call))) == "stopped");
        CHECK(room.counters().admitted == 0);
        CHECK(room.counters().running == 0);
    }

    TEST_CASE("a stop takes a call out of the queue and lets the next one move up") {
        runtime rt;
        bulkhead room(room_for(1, 2));
        crowd seen;
        weft::stop_source source;
        auto one = [&] { return visit(seen, 10s, 1); };
        auto later = [](weft::clock::duration delay, auto begin) -> task<std::string> {
            co_await weft::sleep_for(delay);
            auto inner = begin();
            std::string text = co_await std::move(inner);
            co_return text;
        };
        auto stop_at_5s = [&]() -> task<std::string> {
            co_await weft::sleep_for(5s);
            CHECK(room.counters().waiting == 2);
            source.request_stop();
            co_await weft::sleep_for(1ms);
            CHECK(room.counters().waiting == 1);
            co_return "";
        };
        auto all = [&]() -> task<std::string> {
            auto [a, b, c, d] = co_await weft::when_all(
                outcome_of(room.run(one)),
                later(1s, [&] { return outcome_under(source.token(), room.run(one)); }),
                later(2s, [&] { return outcome_of(room.run(one)); }),
                stop_at_5s());
            co_return a + ", " + b + ", " + c;
        };
        auto const start = rt.now();
        CHECK(rt.block_on(all()) == "value 1, stopped, value 1");
        CHECK(std::chrono::round<std::chrono::milliseconds>(rt.now() - start) == 20s);
        CHECK(room.counters().stopped_waiting == 1);
        CHECK(room.counters().admitted == 2);
    }

    TEST_CASE("a time limit ends the wait in the queue") {
        runtime rt;
        bulkhead room(room_for(1, 5));
        crowd seen;
        auto one = [&] { return visit(seen, 10s, 1); };
        auto limited = [&]() -> task<int> {
            int const value = co_await weft::timeout(2s, room.run(one));
            co_return value;
        };
        auto both = [&]() -> task<std::string> {
            auto [first, second] =
                co_await weft::when_all(outcome_of(room.run(one)), outcome_of(limited()));
            co_return first + ", " + second;
        };
        CHECK(rt.block_on(both()) == "value 1, error timed out");
    }

    TEST_CASE("places are neither lost nor doubled when stops race the calls") {
        auto const seed = weft::test::fresh_seed();
        CAPTURE(seed);
        weft::test::random_numbers random(seed);
        runtime rt({.workers = 2});
        bulkhead room(room_for(2, 3));
        crowd seen;
        auto guarded = [&](weft::stop_token token) -> task<std::string> {
            std::string text = co_await weft::with_stop_token(
                token, outcome_of(room.run([&] { return visit(seen, 0s, 1); })));
            co_return text;
        };
        auto stop_after = [](weft::stop_source& source, int turns) -> task<std::string> {
            for (int i = 0; i < turns; ++i) {
                co_await weft::yield();
            }
            source.request_stop();
            co_return "";
        };
        for (int round = 0; round < 10'000; ++round) {
            weft::stop_source source;
            std::vector<task<std::string>> all;
            for (int i = 0; i < 6; ++i) {
                all.push_back(guarded(source.token()));
            }
            all.push_back(stop_after(source, static_cast<int>(random.below(8))));
            auto join = [&]() -> task<> { (void)co_await weft::when_all(std::move(all)); };
            rt.block_on(join());
            auto const told = room.counters();
            CHECK(told.running == 0);
            CHECK(told.waiting == 0);
            seen.inside = 0;  // visits that were stopped do not count themselves out
        }
        CHECK(room.counters().admitted > 0);
    }
}
