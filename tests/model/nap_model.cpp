/// Naps: sleeps with a deadline, of a worker that watches for a single coroutine left behind
/// (worker.hpp, idle_set I5). In models one coroutine that comes and goes makes a worker nap.

#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/time/sleep.hpp>
#include <weft/tests/model/stepper.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <concepts>
#include <coroutine>

namespace model = weft::model;
using namespace std::chrono_literals;

namespace {

using event = weft::detail::thread_event;

/// The coroutine goes behind those that are ready on its worker; nobody is woken for it.
struct give_way {
    [[nodiscard]] bool await_ready() const noexcept { return false; }

    template <std::derived_from<weft::detail::promise_base> Promise>
    void await_suspend(std::coroutine_handle<Promise> waiter) const noexcept {
        weft::detail::current_worker()->push_yielded(waiter.promise());
    }

    void await_resume() const noexcept {}
};

weft::task<> signal(event& happened) {
    happened.signal();
    co_return;
}

/// Turns its ring over, so that the other worker may nap, and leaves one coroutine behind: only the
/// other can run it.
template <int Rounds>
weft::task<> leave_one_behind() {
    event happened;
    for (int i = 0; i < Rounds; ++i) {
        co_await give_way();
    }
    weft::spawn(signal(happened));
    happened.wait();
}

template <int Rounds>
void left_behind() {
    weft::thread_pool pool({.workers = 2});
    pool.block_on(leave_one_behind<Rounds>());
}

/// The single coroutine comes when the watch may be over already.
weft::task<> leave_one_behind_twice() {
    for (int i = 0; i < 2; ++i) {
        event happened;
        co_await give_way();
        weft::spawn(signal(happened));
        happened.wait();
    }
}

void left_behind_twice() {
    weft::thread_pool pool({.workers = 2});
    pool.block_on(leave_one_behind_twice());
}

/// The sleep is shorter than a nap, and ends one.
weft::task<> sleep_and_hold(event& happened) {
    co_await weft::sleep_for(20us);
    happened.wait();
}

weft::task<> leave_one_behind_for(event& happened) {
    co_await give_way();
    weft::spawn(signal(happened));
    happened.wait();
}

/// The watcher gets work of its own, which holds it: a third worker, who sleeps, has to see to what
/// came while it watched.
void watcher_is_held() {
    event happened;
    weft::thread_pool pool({.workers = 3});
    pool.spawn(sleep_and_hold(happened));
    pool.block_on(leave_one_behind_for(happened));
}

weft::task<> hold(event& happened) {
    happened.wait();
    co_return;
}

weft::task<> spawn_both_and_hold(event& happened) {
    weft::spawn(hold(happened));
    weft::spawn(signal(happened));
    happened.wait();
    co_return;
}

/// A thief takes the first, which holds it, and wakes a third worker for the second.
void successor() {
    event happened;
    weft::thread_pool pool({.workers = 3});
    pool.block_on(spawn_both_and_hold(happened));
}

weft::task<> turn_over(model::plain<int>& ended) {
    co_await give_way();
    ended.write(1);
}

/// A worker that naps is told of the end like one that sleeps.
void end_in_a_nap() {
    model::plain<int> ended{0};
    {
        weft::thread_pool pool({.workers = 2});
        pool.spawn(turn_over(ended));
    }
    model::expect(ended.read() == 1, "a task did not run");
}

}  // namespace

TEST_SUITE("model/nap") {
    TEST_CASE("a single coroutine that its worker leaves behind is found by the one that naps") {
        CHECK(model::explore("left_behind", &left_behind<1>, {.stale_reads = 0}));
        CHECK(model::explore(
            "left_behind_stale", &left_behind<1>, {.preemptions = 1, .stale_reads = 1}));
        CHECK(model::explore("left_behind_later", &left_behind<2>, {.stale_reads = 0}));
    }

    TEST_CASE("whoever ends the watch sees to what came while it lasted") {
        CHECK(model::explore(
            "left_behind_twice", &left_behind_twice, {.preemptions = 1, .stale_reads = 0}));
    }

    TEST_CASE("a watcher that finds other work wakes somebody who sleeps") {
        CHECK(model::explore(
            "watcher_is_held", &watcher_is_held, {.preemptions = 0, .stale_reads = 1}));
    }

    TEST_CASE("the last searcher wakes another for what came while it searched") {
        model::options const stale{.preemptions = 0, .stale_reads = 1};
        CHECK(model::explore("successor", &successor, stale));
    }

    TEST_CASE("a pool ends whose workers nap") {
        CHECK(model::explore("end_in_a_nap", &end_in_a_nap, {.stale_reads = 0}));
    }
}
