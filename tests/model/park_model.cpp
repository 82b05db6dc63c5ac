/// Parking and waking: real workers, in real schedulers, that wait in mutex and condition.

#include <weft/runtime/join/when_all.hpp>
#include <weft/runtime/pool/thread_driver.hpp>
#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/sched/scheduler.hpp>
#include <weft/tests/model/stepper.hpp>

#include <doctest/doctest.h>

#include <memory>

namespace model = weft::model;

namespace {

using event = weft::detail::thread_event;

weft::task<int> give(model::plain<int> const& value) {
    co_return value.read();
}

void block_on(unsigned workers) {
    model::plain<int> value{0};
    weft::thread_pool pool({.workers = workers});
    value.write(1);
    model::expect(pool.block_on(give(value)) == 1, "a value is lost");
}

void one_worker() {
    block_on(1);
}

void two_workers() {
    block_on(2);
}

/// Two foreign threads inject at the same time.
void two_injectors() {
    model::plain<int> value{1};
    weft::thread_pool pool({.workers = 1});
    auto injects = [&] { (void)pool.block_on(give(value)); };
    model::thread other(injects);
    (void)pool.block_on(give(value));
    other.join();
}

weft::task<> signal(event& happened) {
    happened.signal();
    co_return;
}

/// Holds its worker until somebody else has run what it spawned: only a worker that is awake can.
weft::task<> spawn_and_hold() {
    event happened;
    weft::spawn(signal(happened));
    happened.wait();
    co_return;
}

void ready_is_shared() {
    weft::thread_pool pool({.workers = 2});
    pool.block_on(spawn_and_hold());
}

weft::task<> hold(event& happened) {
    happened.wait();
    co_return;
}

/// The first child holds the worker until a thief has run the second.
weft::task<> fork_and_hold() {
    event happened;
    co_await weft::when_all(hold(happened), signal(happened));
}

void fork_is_shared() {
    weft::thread_pool pool({.workers = 2});
    pool.block_on(fork_and_hold());
}

/// The work is injected while one worker is held by other work.
void injected_is_shared() {
    event happened;
    weft::thread_pool pool({.workers = 2});
    pool.spawn(hold(happened));
    pool.block_on(signal(happened));
}

/// The pool is gone as soon as the task has run; whoever has posted it may still be on the way out.
void destroyed_during_a_post() {
    event happened;
    auto pool = std::make_unique<weft::thread_pool>(weft::thread_pool_options{.workers = 1});
    auto posts = [&pool, &happened] { pool->spawn(signal(happened)); };
    model::thread poster(posts);
    happened.wait();
    pool.reset();
}

/// A request that nothing but its wake-up announces.
struct told_request : weft::detail::remote_request {
    told_request() noexcept : remote_request(&tell) {}

    event happened;

private:
    static void tell(remote_request& base) noexcept {
        static_cast<told_request&>(base).happened.signal();
    }
};

weft::detail::driver* make_driver(unsigned) {
    return new weft::detail::thread_driver;
}

/// The last request may come when the worker has taken the one before it, and not yet its wake-up.
void notified_twice() {
    told_request first;
    told_request next;
    told_request last;
    weft::detail::scheduler workers(1, make_driver);
    weft::detail::worker& only = workers.worker_at(0);
    auto posts = [&] { only.post(next); };
    model::thread poster(posts);
    only.post(first);
    first.happened.wait();
    only.post(last);
    last.happened.wait();
    next.happened.wait();
}

}  // namespace

TEST_SUITE("model/park") {
    TEST_CASE("what is injected while the workers park is run") {
        CHECK(model::explore("one_worker", &one_worker, {.stale_reads = 1}));
        CHECK(model::explore("two_workers", &two_workers, {.stale_reads = 0}));
        CHECK(model::explore("two_injectors", &two_injectors, {.stale_reads = 0}));
    }

    TEST_CASE("work that one worker cannot run wakes another, wherever it waits") {
        CHECK(model::explore("injected", &injected_is_shared, {.stale_reads = 0}));
        CHECK(model::explore("ready", &ready_is_shared, {.stale_reads = 0}));
        CHECK(model::explore("fork", &fork_is_shared, {.stale_reads = 0}));
    }

    TEST_CASE("a wake-up that comes on top of another one is not lost") {
        CHECK(model::explore("notified_twice", &notified_twice, {.stale_reads = 1}));
    }

    TEST_CASE("a pool may be destroyed when a posted task has run, wherever its poster is") {
        CHECK(model::explore(
            "destroyed_during_a_post", &destroyed_during_a_post, {.stale_reads = 1}));
    }

    TEST_CASE("a stale read of a queue or of the sleepers does not lose a wake-up") {
        model::options const stale{.preemptions = 1, .stale_reads = 1};
        CHECK(model::explore("ready_stale", &ready_is_shared, stale));
        CHECK(model::explore("fork_stale", &fork_is_shared, stale));
        CHECK(model::explore("injected_stale", &injected_is_shared, stale));
    }

    TEST_CASE("the same holds with fences that both sides pay for") {
        model::options portable{.preemptions = 1, .stale_reads = 1, .membarrier = false};
        CHECK(model::explore("ready_portable", &ready_is_shared, portable));
        CHECK(model::explore("fork_portable", &fork_is_shared, portable));
    }
}
