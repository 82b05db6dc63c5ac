/// Joins, scopes, timers, cancellation and shutdown, in real pools.

#include <weft/runtime/join/when_all.hpp>
#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/scope/scope.hpp>
#include <weft/runtime/task/as_result.hpp>
#include <weft/runtime/testing/test_runtime.hpp>
#include <weft/runtime/time/sleep.hpp>
#include <weft/runtime/time/timeout.hpp>
#include <weft/tests/model/stepper.hpp>

#include <doctest/doctest.h>

#include <chrono>

namespace model = weft::model;
using namespace std::chrono_literals;

namespace {

using event = weft::detail::thread_event;

struct failure {};

weft::task<> write(model::plain<int>& target) {
    target.write(target.read() + 1);
    co_return;
}

weft::task<> fail() {
    throw failure{};
    co_return;
}

weft::task<> sleep_long(model::plain<int>& ended) {
    co_await weft::sleep_for(1h);
    ended.write(1);
}

weft::task<> nap() {
    co_await weft::sleep_for(1ms);
}

// --- joins ------------------------------------------------------------------------

weft::task<int> join_two() {
    model::plain<int> values[2];
    co_await weft::when_all(write(values[0]), write(values[1]));
    co_return values[0].read() + values[1].read();
}

void join() {
    weft::thread_pool pool({.workers = 2});
    model::expect(pool.block_on(join_two()) == 2, "a child of the join did not run once");
}

weft::task<int> join_three() {
    model::plain<int> values[3];
    co_await weft::when_all(write(values[0]), write(values[1]), write(values[2]));
    co_return values[0].read() + values[1].read() + values[2].read();
}

void join_of_three() {
    weft::thread_pool pool({.workers = 2});
    model::expect(pool.block_on(join_three()) == 3, "a child of the join did not run once");
}

/// The failure stops the sleeper, wherever it runs; both are waited for.
weft::task<bool> join_with_failure() {
    model::plain<int> slept{0};
    bool caught = false;
    try {
        co_await weft::when_all(sleep_long(slept), fail());
    } catch (failure const&) {
        caught = true;
    }
    slept.write(2);
    co_return caught;
}

void failing_join() {
    weft::thread_pool pool({.workers = 2});
    model::expect(pool.block_on(join_with_failure()), "an error of a child is lost");
}

weft::task<> stopped_join(model::plain<int>& slept) {
    model::plain<int> other{0};
    co_await weft::when_all(sleep_long(slept), sleep_long(other));
}

// --- scopes -----------------------------------------------------------------------

weft::task<int> scope_of_two() {
    model::plain<int> values[2];
    auto body = [&values](weft::nursery& children) -> weft::task<> {
        children.spawn(write(values[0]));
        children.spawn(write(values[1]));
        co_return;
    };
    co_await weft::scope(body);
    co_return values[0].read() + values[1].read();
}

void scope() {
    weft::thread_pool pool({.workers = 2});
    model::expect(pool.block_on(scope_of_two()) == 2, "a child of the scope did not run once");
}

weft::task<bool> scope_with_failure() {
    model::plain<int> slept{0};
    auto body = [&slept](weft::nursery& children) -> weft::task<> {
        children.spawn(fail());
        children.spawn(sleep_long(slept));
        co_return;
    };
    bool caught = false;
    try {
        co_await weft::scope(body);
    } catch (failure const&) {
        caught = true;
    }
    slept.write(2);
    co_return caught;
}

void failing_scope() {
    weft::thread_pool pool({.workers = 2});
    model::expect(pool.block_on(scope_with_failure()), "an error of a child is lost");
}

// --- timers and cancellation --------------------------------------------------------

/// The stop comes from a foreign thread while the timer is armed, fires, or has fired.
void stop_against_timer() {
    model::plain<int> ended{0};
    {
        weft::thread_pool pool({.workers = 1});
        pool.spawn(sleep_long(ended));
        (void)pool.request_stop();
    }
    (void)ended.read();
}

weft::task<> limited_nap() {
    auto limited = weft::timeout(1ms, nap());
    auto const result = co_await (std::move(limited) | weft::as_result);
    (void)result;
}

/// Both timers expire at the same tick.
void timeout_against_end() {
    weft::thread_pool pool({.workers = 1});
    pool.block_on(limited_nap());
}

weft::task<> limited_join() {
    model::plain<int> slept{0};
    auto limited = weft::timeout(1ms, stopped_join(slept));
    auto const result = co_await (std::move(limited) | weft::as_result);
    model::expect(!result || slept.read() == 1, "a join that was stopped has a value");
    slept.write(2);
}

/// The deadline stops children on both workers.
void timeout_of_join() {
    weft::thread_pool pool({.workers = 2});
    pool.block_on(limited_join());
}

// --- shutdown -----------------------------------------------------------------------

void shutdown_with_tasks() {
    model::plain<int> values[2];
    {
        weft::thread_pool pool({.workers = 2});
        pool.spawn(write(values[0]));
        pool.spawn(write(values[1]));
    }
    model::expect(values[0].read() + values[1].read() == 2, "a spawned task did not run");
}

/// Nobody waits for the tasks but by counting them.
void count_tasks() {
    model::plain<int> value{0};
    weft::thread_pool pool({.workers = 1});
    pool.spawn(write(value));
    while (pool.task_count() != 0) {
        model::yield();
    }
    model::expect(value.read() == 1, "a task is not counted although it runs");
}

void shutdown_of_idle_pool() {
    weft::thread_pool const pool({.workers = 2});
}

// --- virtual time -------------------------------------------------------------------

weft::task<> sleep_and_write(model::plain<int>& value) {
    co_await weft::sleep_for(1ms);
    value.write(value.read() + 1);
}

/// Time moves when both workers wait, and not before; who sleeps is woken by it.
void virtual_sleep() {
    model::plain<int> value{0};
    weft::test::runtime paused({.workers = 2});
    paused.block_on(sleep_and_write(value));
    model::expect(value.read() == 1, "a sleep in virtual time does not end");
}

/// A foreign thread moves the time on: what is due has run when it returns.
void advance() {
    model::plain<int> value{0};
    weft::test::runtime paused({.workers = 1});
    paused.spawn(sleep_and_write(value));
    paused.advance(2ms);
    model::expect(value.read() == 1, "time has moved past a sleep that has not ended");
}

/// Who sees that the time has moved sees what was written before it did.
void advance_is_seen() {
    model::plain<int> value{0};
    weft::test::runtime paused({.workers = 1});
    auto const start = paused.now();
    auto looks = [&] {
        if (paused.now() - start >= 1ms) {
            model::expect(value.read() == 1, "time moves ahead of what preceded it");
        }
    };
    model::thread other(looks);
    value.write(1);
    paused.advance(1ms);
    other.join();
}

}  // namespace

TEST_SUITE("model/runtime") {
    TEST_CASE("a join ends when its last child has, with what they all wrote") {
        CHECK(model::explore("join", &join, {.stale_reads = 0}));
        CHECK(model::explore("join_stale", &join, {.preemptions = 1, .stale_reads = 1}));
        CHECK(model::explore("join_of_three", &join_of_three, {.stale_reads = 0}));
    }

    TEST_CASE("a failing child stops the others, and all are waited for") {
        CHECK(model::explore("failing_join", &failing_join, {.stale_reads = 0}));
        CHECK(
            model::explore("failing_scope", &failing_scope, {.preemptions = 1, .stale_reads = 1}));
    }

    TEST_CASE("a scope ends when its last child has, with what they all wrote") {
        CHECK(model::explore("scope", &scope, {.stale_reads = 0}));
        CHECK(model::explore("scope_stale", &scope, {.preemptions = 1, .stale_reads = 1}));
    }

    TEST_CASE("a stop that races the end of a sleep ends it once") {
        CHECK(model::explore("stop_against_timer", &stop_against_timer, {.stale_reads = 1}));
        CHECK(model::explore("timeout_against_end", &timeout_against_end, {.stale_reads = 1}));
        CHECK(model::explore(
            "timeout_of_join", &timeout_of_join, {.preemptions = 1, .stale_reads = 0}));
    }

    TEST_CASE("a pool that is destroyed runs what was spawned, and its workers leave") {
        CHECK(model::explore("shutdown", &shutdown_with_tasks, {.stale_reads = 0}));
        CHECK(model::explore("count_tasks", &count_tasks, {.stale_reads = 1}));
        CHECK(model::explore("shutdown_idle", &shutdown_of_idle_pool, {.stale_reads = 1}));
    }

    TEST_CASE("virtual time moves when everybody waits for it, and wakes whom it reaches") {
        CHECK(model::explore("virtual_sleep", &virtual_sleep, {.stale_reads = 0}));
        CHECK(model::explore("advance", &advance, {.stale_reads = 1}));
        CHECK(model::explore("advance_is_seen", &advance_is_seen, {.stale_reads = 1}));
    }
}
