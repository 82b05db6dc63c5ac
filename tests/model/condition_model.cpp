/// The condition variable of sync/, with its mutex.

#include <weft/sync/locks/condition.hpp>
#include <weft/sync/locks/mutex.hpp>
#include <weft/tests/model/coroutines.hpp>

#include <doctest/doctest.h>

namespace model = weft::model;

namespace {

struct shared_state {
    weft::mutex lock;
    weft::condition_variable changed;
    model::plain<int> items{0};
};

weft::task<> add(shared_state& state) {
    auto const guard = co_await state.lock.scoped_lock();
    state.items.write(state.items.read() + 1);
    state.changed.notify_one();
}

weft::task<> take(shared_state& state) {
    auto guard = co_await state.lock.scoped_lock();
    auto const has_items = [&state] { return state.items.read() != 0; };
    co_await state.changed.wait(guard, has_items);
    state.items.write(state.items.read() - 1);
}

/// In a loop of the task's own, without a predicate.
weft::task<> take_in_loop(shared_state& state) {
    auto guard = co_await state.lock.scoped_lock();
    while (state.items.read() == 0) {
        co_await state.changed.wait(guard);
    }
    state.items.write(state.items.read() - 1);
}

void one_to_one() {
    shared_state state;
    model::crew workers;
    model::job one(workers, add(state));
    model::job other(workers, take(state));
    workers.run();
    model::expect(other.has_value() && state.items.read() == 0, "a notification is lost");
}

void one_to_one_in_loop() {
    shared_state state;
    model::crew workers;
    model::job one(workers, add(state));
    model::job other(workers, take_in_loop(state));
    workers.run();
    model::expect(other.has_value() && state.items.read() == 0, "a notification is lost");
}

/// The notifier does not hold the mutex any more.
weft::task<> add_then_notify(shared_state& state) {
    {
        auto const guard = co_await state.lock.scoped_lock();
        state.items.write(state.items.read() + 2);
    }
    state.changed.notify_all();
}

void two_takers() {
    shared_state state;
    model::crew workers;
    model::job one(workers, add_then_notify(state));
    model::job two(workers, take(state));
    model::job three(workers, take(state));
    workers.run();
    model::expect(two.has_value() && three.has_value(), "a notification is lost");
    model::expect(state.items.read() == 0, "a predicate held for two");
}

/// A stopped wait has the mutex when it unwinds, and gives it back.
void stopped_wait() {
    shared_state state;
    model::crew workers;
    model::job one(workers, add(state));
    model::job other(workers, take(state));
    auto stops = [&] { other.request_stop(); };
    model::thread stopper(stops);
    workers.run();
    model::expect(one.has_value(), "a notifier is lost");
    model::expect(state.items.read() == (other.has_value() ? 0 : 1), "a stopped wait went on");
    model::expect(state.lock.try_lock(), "a stopped wait keeps the mutex");
    state.lock.unlock();
}

}  // namespace

TEST_SUITE("model/condition") {
    TEST_CASE("no notification is lost, and the predicate holds for who goes on") {
        CHECK(model::explore("one_to_one", &one_to_one, {.stale_reads = 1}));
        CHECK(model::explore("one_to_one_in_loop", &one_to_one_in_loop, {.stale_reads = 1}));
        CHECK(model::explore("two_takers", &two_takers, {.stale_reads = 1}));
    }

    TEST_CASE("a wait that is stopped unwinds with the mutex") {
        CHECK(model::explore("stopped_wait", &stopped_wait, {.stale_reads = 1}));
    }
}
