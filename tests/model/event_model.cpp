/// The events of sync/, their waiters being coroutines.

#include <weft/sync/locks/event.hpp>
#include <weft/tests/model/coroutines.hpp>

#include <doctest/doctest.h>

#include <memory>

namespace model = weft::model;

namespace {

template <class Event>
weft::task<> await(Event& happened, model::plain<int> const& value) {
    co_await happened.wait();
    model::expect(value.read() == 1, "a signal comes without what was written before it");
}

template <class Event>
weft::task<> set(Event& happened, model::plain<int>& value) {
    value.write(1);
    happened.set();
    co_return;
}

template <class Event>
void set_against_wait() {
    Event happened;
    model::plain<int> value{0};
    model::crew workers;
    model::job one(workers, await(happened, value));
    model::job other(workers, set(happened, value));
    workers.run();
    model::expect(one.has_value(), "a waiter is lost");
}

/// Everybody goes on.
void set_against_two() {
    weft::manual_reset_event happened;
    model::plain<int> value{0};
    model::crew workers;
    model::job one(workers, await(happened, value));
    model::job two(workers, await(happened, value));
    model::job three(workers, set(happened, value));
    workers.run();
    model::expect(one.has_value() && two.has_value(), "a waiter is lost");
}

weft::task<> pass(weft::auto_reset_event& gate, model::plain<int>& value) {
    co_await gate.wait();
    value.write(value.read() + 1);
    gate.set();
}

/// One at a time goes on, and hands the signal over.
void one_at_a_time() {
    weft::auto_reset_event gate(true);
    model::plain<int> value{0};
    model::crew workers;
    model::job one(workers, pass(gate, value));
    model::job two(workers, pass(gate, value));
    model::job three(workers, pass(gate, value));
    workers.run();
    model::expect(value.read() == 3, "a signal is lost");
}

/// The stop meets the signal: it is taken, or left for the next.
void stopped_against_set() {
    weft::auto_reset_event gate;
    model::plain<int> value{0};
    model::crew workers;
    model::job one(workers, await(gate, value));
    model::job other(workers, set(gate, value));
    auto stops = [&] { one.request_stop(); };
    model::thread stopper(stops);
    workers.run();
    model::expect(gate.is_set() == one.was_stopped(), "a signal is lost, or taken twice");
}

/// A stopped waiter does not take the signal away from the one behind it.
void stopped_in_front() {
    weft::auto_reset_event gate;
    model::plain<int> value{0};
    model::crew workers;
    model::job one(workers, await(gate, value));
    model::job two(workers, await(gate, value));
    model::job three(workers, set(gate, value));
    one.request_stop();
    auto stops = [&] { two.request_stop(); };
    model::thread stopper(stops);
    workers.run();
    int const taken = (one.has_value() ? 1 : 0) + (two.has_value() ? 1 : 0);
    model::expect(taken == (gate.is_set() ? 0 : 1), "a signal is lost, or taken twice");
}

weft::task<> wait_and_destroy(std::unique_ptr<weft::manual_reset_event>& happened) {
    co_await happened->wait();
    happened.reset();
}

weft::task<> set_it(weft::manual_reset_event& happened) {
    happened.set();
    co_return;
}

void destroyed_by_the_last() {
    auto happened = std::make_unique<weft::manual_reset_event>();
    model::crew workers;
    model::job one(workers, wait_and_destroy(happened));
    model::job other(workers, set_it(*happened));
    workers.run();
    model::expect(happened == nullptr, "a waiter is lost");
}

weft::task<> wait_for(weft::manual_reset_event& happened) {
    co_await happened.wait();
}

/// Two are woken at once, and the first destroys the event, while a stop looks for the second. One
/// worker: both wait when the event is set.
void destroyed_beside_a_stop() {
    auto happened = std::make_unique<weft::manual_reset_event>();
    model::crew workers(1);
    model::job one(workers, wait_and_destroy(happened));
    model::job two(workers, wait_for(*happened));
    model::job three(workers, set_it(*happened));
    auto stops = [&] { two.request_stop(); };
    model::thread stopper(stops);
    workers.run();
    model::expect(happened == nullptr, "a waiter is lost");
}

}  // namespace

TEST_SUITE("model/event") {
    TEST_CASE("whoever waits goes on when the event is set, with what was written before") {
        using weft::auto_reset_event;
        using weft::manual_reset_event;
        CHECK(model::explore("manual", &set_against_wait<manual_reset_event>));
        CHECK(model::explore("automatic", &set_against_wait<auto_reset_event>));
        CHECK(model::explore("two_waiters", &set_against_two, {.stale_reads = 1}));
    }

    TEST_CASE("an auto_reset_event lets one through for each signal") {
        CHECK(model::explore("one_at_a_time", &one_at_a_time, {.stale_reads = 0}));
    }

    TEST_CASE("a signal that meets a stop is taken, or left for the next") {
        CHECK(model::explore("stopped_against_set", &stopped_against_set, {.stale_reads = 1}));
        CHECK(model::explore("stopped_in_front", &stopped_in_front, {.stale_reads = 0}));
    }

    TEST_CASE("the task that is let through may destroy the event") {
        CHECK(model::explore("destroyed_by_the_last", &destroyed_by_the_last));
        CHECK(model::explore("destroyed_beside_a_stop", &destroyed_beside_a_stop));
    }
}
