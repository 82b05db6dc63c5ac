#include <weft/runtime/resilience/rate_limiter.hpp>

#include <weft/runtime/join/when_all.hpp>
#include <weft/runtime/scope/cancel_after.hpp>
#include <weft/runtime/scope/scope.hpp>
#include <weft/runtime/scope/stop_on.hpp>
#include <weft/runtime/task/as_result.hpp>
#include <weft/runtime/testing/test_runtime.hpp>
#include <weft/runtime/time/timeout.hpp>
#include <weft/tests/support/outcome.hpp>
#include <weft/tests/support/rate_reference.hpp>
#include <weft/tests/support/seed.hpp>
#include <weft/tests/support/small_tasks.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <deque>
#include <optional>
#include <string>
#include <vector>

namespace {

using namespace std::chrono_literals;
using weft::rate_limiter;
using weft::rate_limiter_options;
using weft::task;
using weft::test::outcome_of;
using weft::test::outcome_under;
using weft::test::runtime;

rate_limiter_options ten_per_second(weft::clock::duration longest_wait) {
    rate_limiter_options options;
    options.limit = 10;
    options.burst = 1;
    options.longest_wait = longest_wait;
    return options;
}

task<int> one() {
    return weft::test::value(1);
}

task<std::string> limited(rate_limiter& limiter, weft::clock::duration limit) {
    auto inner = weft::timeout(limit, limiter.run(&one));
    auto wait = [](auto& operation) -> task<int> {
        int const value = co_await operation;
        co_return value;
    };
    std::string text = co_await outcome_of(wait(inner));
    co_return text;
}

/// One call of a schedule that is played twice: by a limiter, and by the definition.
struct planned_call {
    weft::clock::duration comes{};
    std::optional<weft::clock::duration> quits;  // after it came
    std::optional<weft::clock::duration> started;
    bool refused = false;
};

struct plan {
    rate_limiter_options options;
    std::vector<planned_call> calls;
    bool is_ambiguous = false;  // two things happen so close together that either may be first
};

constexpr weft::clock::duration step = 1ms;

plan random_plan(weft::test::random_numbers& random) {
    plan made;
    rate_limiter_options& options = made.options;
    options.kind =
        random.one_in(2) ? weft::rate_kind::token_bucket : weft::rate_kind::sliding_window;
    options.limit = static_cast<unsigned>(1 + random.below(4));
    options.burst = static_cast<unsigned>(random.below(4));
    options.period = step * (20 + random.below(200));
    options.longest_wait = random.one_in(3) ? step * random.below(300) : 1h;
    options.queued = random.one_in(3) ? random.below(6) : 1'000;
    weft::clock::duration time{};
    for (int i = 0; i < 30; ++i) {
        time += std::chrono::microseconds(random.below(random.one_in(6) ? 200'000 : 20'000));
        planned_call call;
        call.comes = time;
        if (random.one_in(3)) {
            call.quits = std::chrono::microseconds(1 + random.below(300'000));
        }
        made.calls.push_back(call);
    }
    return made;
}

/// By the definition: a queue, first come, first served, in which whoever quits is not any more.
void play_by_definition(plan& play) {
    using time_point = weft::clock::time_point;
    rate_limiter_options const& options = play.options;
    weft::test::rate_reference starts(options.kind,
                                      options.limit,
                                      weft::clock::duration(options.period.nanoseconds()),
                                      options.burst);
    constexpr time_point begin{1h};
    constexpr weft::clock::duration close = 200us;
    std::vector<time_point> events;
    std::deque<planned_call*> queue;
    auto const quits_at = [&](planned_call const& call) {
        return call.quits ? begin + call.comes + *call.quits : time_point::max();
    };
    // Everything that happens before `now` with those that wait.
    auto const pass_time = [&](time_point now) {
        time_point from = begin;
        while (!queue.empty()) {
            auto const next_quit = std::ranges::min_element(
                queue, {}, [&](planned_call* each) { return quits_at(*each); });
            time_point const quit = quits_at(**next_quit);
            time_point const turn = starts.earliest(std::max(from, begin + queue.front()->comes));
            time_point const next = std::min(quit, turn);
            play.is_ambiguous = play.is_ambiguous || std::chrono::abs(turn - quit) < close;
            if (next > now) {
                return;
            }
            from = next;
            events.push_back(next);
            if (turn < quit) {
                queue.front()->started = turn - begin;
                starts.start(turn);
                queue.pop_front();
            } else {
                queue.erase(next_quit);
            }
        }
    };
    for (planned_call& call : play.calls) {
        time_point const now = begin + call.comes;
        pass_time(now);
        events.push_back(now);
        weft::test::rate_reference foretold = starts;
        time_point turn = now;
        for (std::size_t i = 0; i <= queue.size(); ++i) {
            turn = foretold.earliest(turn);
            foretold.start(turn);
        }
        weft::clock::duration const wait = turn - now;
        play.is_ambiguous =
            play.is_ambiguous ||
            std::chrono::abs(wait - weft::clock::duration(options.longest_wait.nanoseconds())) <
                close;
        if (queue.empty() && wait == wait.zero()) {
            call.started = call.comes;
            starts.start(now);
        } else if (wait > options.longest_wait || queue.size() >= options.queued) {
            call.refused = true;
        } else {
            queue.push_back(&call);
        }
    }
    pass_time(time_point::max() - 1h);
    std::ranges::sort(events);
    for (std::size_t i = 1; i < events.size(); ++i) {
        play.is_ambiguous = play.is_ambiguous || events[i] - events[i - 1] < close;
    }
}

task<> play_call(runtime& rt,
                 weft::clock::time_point begin,
                 rate_limiter& limiter,
                 planned_call& call) {
    co_await weft::sleep_until(begin + call.comes);
    auto note_start = [&]() -> task<> {
        call.started = rt.now() - begin;
        co_return;
    };
    weft::stop_source quit;  // not a deadline: the limiter looks at those when the call comes
    std::optional<weft::cancel_after<weft::stop_source>> later;
    if (call.quits) {
        later.emplace(*call.quits, quit);
    }
    auto const ended =
        co_await (weft::with_stop_token(quit.token(), limiter.run(note_start)) | weft::as_result);
    call.refused = !ended && ended.error() == weft::errc::rate_limited;
}

}  // namespace

TEST_SUITE("runtime/resilience/rate_limiter") {
    TEST_CASE("calls beyond the rate wait for their turn") {
        runtime rt;
        rate_limiter limiter(ten_per_second(1h));
        auto many = [&]() -> task<int> {
            std::vector<task<int>> calls;
            for (int i = 0; i < 21; ++i) {
                calls.push_back(limiter.run(&one));
            }
            int sum = 0;
            for (int each : co_await weft::when_all(std::move(calls))) {
                sum += each;
            }
            co_return sum;
        };
        auto const start = rt.now();
        CHECK(rt.block_on(many()) == 21);
        CHECK(std::chrono::round<std::chrono::milliseconds>(rt.now() - start) == 2s);
        CHECK(limiter.counters().admitted == 21);
        CHECK(limiter.counters().delayed == 20);
        CHECK(limiter.counters().waiting == 0);
    }

    TEST_CASE("a call whose turn is too far off is refused and told when to come back") {
        runtime rt;
        rate_limiter limiter(ten_per_second(0s));
        CHECK(rt.block_on(outcome_of(limiter.run(&one))) == "value 1");
        try {
            (void)rt.block_on(limiter.run(&one));
            FAIL("the call was let in");
        } catch (weft::rejected const& refusal) {
            CHECK(refusal.code() == weft::errc::rate_limited);
            CHECK(refusal.retry_after() == 100ms);
        }
        CHECK(limiter.counters().rejected == 1);
        rt.advance(100ms);
        CHECK(rt.block_on(outcome_of(limiter.run(&one))) == "value 1");
    }

    TEST_CASE("a call whose turn comes after its deadline is refused at once") {
        runtime rt;
        rate_limiter limiter(ten_per_second(1h));
        CHECK(rt.block_on(outcome_of(limiter.run(&one))) == "value 1");
        auto const start = rt.now();
        CHECK(rt.block_on(limited(limiter, 50ms)) == "error rejected: rate limited");
        CHECK(rt.now() == start);
        CHECK(rt.block_on(limited(limiter, 500ms)) == "value 1");
    }

    TEST_CASE("no more calls wait than the queue holds") {
        runtime rt;
        rate_limiter_options options = ten_per_second(1h);
        options.queued = 2;
        rate_limiter limiter(options);
        auto all = [&]() -> task<int> {
            std::vector<task<std::string>> calls;
            for (int i = 0; i < 5; ++i) {
                calls.push_back(outcome_of(limiter.run(&one)));
            }
            int refused = 0;
            for (auto const& each : co_await weft::when_all(std::move(calls))) {
                refused += each == "error rejected: rate limited" ? 1 : 0;
            }
            co_return refused;
        };
        CHECK(rt.block_on(all()) == 2);
    }

    TEST_CASE("a stop while it waits ends a call and gives its turn to the next") {
        runtime rt;
        rate_limiter limiter(ten_per_second(1h));
        weft::stop_source source;
        auto then_another = [&]() -> task<std::string> {
            co_await weft::sleep_for(50ms);
            source.request_stop();
            co_await weft::sleep_for(1ms);
            std::string text = co_await outcome_of(limiter.run(&one));
            co_return text;
        };
        auto all = [&]() -> task<std::string> {
            auto [a, b, c] =
                co_await weft::when_all(outcome_of(limiter.run(&one)),
                                        outcome_under(source.token(), limiter.run(&one)),
                                        then_another());
            co_return a + ", " + b + ", " + c;
        };
        auto const start = rt.now();
        CHECK(rt.block_on(all()) == "value 1, stopped, value 1");
        CHECK(std::chrono::round<std::chrono::milliseconds>(rt.now() - start) == 100ms);
        CHECK(limiter.counters().stopped_waiting == 1);
    }

    TEST_CASE("a call that is stopped before it begins and must wait gives its turn back") {
        runtime rt;
        rate_limiter limiter(ten_per_second(1h));
        weft::stop_source source;
        source.request_stop();
        CHECK(rt.block_on(outcome_of(limiter.run(&one))) == "value 1");
        CHECK(rt.block_on(outcome_under(source.token(), limiter.run(&one))) == "stopped");
        auto const start = rt.now();
        CHECK(rt.block_on(outcome_of(limiter.run(&one))) == "value 1");
        CHECK(std::chrono::round<std::chrono::milliseconds>(rt.now() - start) == 100ms);
    }

    TEST_CASE("errors of the work pass through and use their turn") {
        runtime rt;
        rate_limiter limiter(ten_per_second(0s));
        auto broken = [] { return weft::test::fails("broken"); };
        CHECK(rt.block_on(outcome_of(limiter.run(broken))) == "error broken");
        CHECK(rt.block_on(outcome_of(limiter.run(&one))) == "error rejected: rate limited");
    }

    TEST_CASE("a call that gives up in the middle of the queue lets nobody start too soon") {
        runtime rt;
        std::vector<weft::clock::duration> starts;
        auto const begin = rt.now();
        rate_limiter_options options;
        options.limit = 2;
        options.burst = 1;
        options.longest_wait = 10s;
        rate_limiter limiter(options);
        auto note_start = [&]() -> task<> {
            starts.push_back(rt.now() - begin);
            co_return;
        };
        auto caller = [&]() -> task<> { co_await limiter.run(note_start); };
        auto body = [&](weft::nursery& n) -> task<> {
            n.spawn_without_handle(caller());
            auto quits = n.spawn(caller());
            n.spawn_without_handle(caller());
            n.spawn_without_handle(caller());
            co_await weft::sleep_for(10ms);
            quits.request_stop();
            co_await weft::sleep_for(1ms);
            n.spawn_without_handle(caller());
        };
        auto all = [&]() -> task<> { co_await weft::scope(body); };
        rt.block_on(all());
        REQUIRE(starts.size() == 4);
        for (std::size_t i = 0; i < starts.size(); ++i) {
            CHECK(std::chrono::round<std::chrono::milliseconds>(starts[i]) == i * 500ms);
        }
    }

    TEST_CASE("a newcomer waits behind nobody when all that waited have given up") {
        for (auto const kind : {weft::rate_kind::token_bucket, weft::rate_kind::sliding_window}) {
            runtime rt;
            rate_limiter_options options;
            options.kind = kind;
            options.limit = 2;
            options.longest_wait = 1000s;
            rate_limiter limiter(options);
            auto caller = [&]() -> task<> { (void)co_await limiter.run(&one); };
            auto body = [&](weft::nursery& n) -> task<> {
                std::vector<weft::join_handle<>> calls;
                for (int i = 0; i < 102; ++i) {
                    calls.push_back(n.spawn(caller()));
                }
                co_await weft::sleep_for(10ms);
                for (auto& each : calls) {
                    each.request_stop();
                }
                co_await weft::sleep_for(1ms);
                CHECK(limiter.counters().waiting == 0);
                CHECK(limiter.counters().stopped_waiting == 100);
                co_await caller();
            };
            auto all = [&]() -> task<> { co_await weft::scope(body); };
            auto const begin = rt.now();
            rt.block_on(all());
            CHECK(rt.now() - begin < 1001ms);
        }
    }

    TEST_CASE("calls that come and give up at any time start when the definition says") {
        auto const seed = weft::test::fresh_seed();
        CAPTURE(seed);
        weft::test::random_numbers random(seed);
        int compared = 0;
        int started_after_waiting = 0;
        for (int round = 0; round < 300; ++round) {
            plan expected = random_plan(random);
            plan seen = expected;
            play_by_definition(expected);
            if (expected.is_ambiguous) {
                continue;
            }
            ++compared;
            runtime rt;
            rate_limiter limiter(seen.options);
            auto const begin = rt.now();
            auto body = [&](weft::nursery& n) -> task<> {
                for (planned_call& each : seen.calls) {
                    n.spawn_without_handle(play_call(rt, begin, limiter, each));
                }
                co_return;
            };
            auto all = [&]() -> task<> { co_await weft::supervisor_scope(body); };
            rt.block_on(all());
            for (std::size_t i = 0; i < seen.calls.size(); ++i) {
                CAPTURE(round);
                CAPTURE(i);
                planned_call const& call = seen.calls[i];
                planned_call const& wanted = expected.calls[i];
                CHECK(call.refused == wanted.refused);
                REQUIRE(call.started.has_value() == wanted.started.has_value());
                if (wanted.started) {
                    // Each timer may end one grain late, and starts follow one another.
                    CHECK(std::chrono::abs(*call.started - *wanted.started) < 100us);
                    started_after_waiting += *wanted.started > wanted.comes ? 1 : 0;
                }
            }
            CHECK(limiter.counters().waiting == 0);
        }
        CHECK(compared >= 100);
        CHECK(started_after_waiting > compared);
    }
}
