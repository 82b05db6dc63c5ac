/// select over what is no channel: a mutex, events, a semaphore, a condition.

#include <weft/runtime/scope/join_handle.hpp>
#include <weft/runtime/scope/scope.hpp>
#include <weft/sync/channels/channel.hpp>
#include <weft/sync/locks/condition.hpp>
#include <weft/sync/locks/event.hpp>
#include <weft/sync/locks/mutex.hpp>
#include <weft/sync/locks/once.hpp>
#include <weft/sync/locks/semaphore.hpp>
#include <weft/sync/select.hpp>
#include <weft/tests/model/coroutines.hpp>

#include <doctest/doctest.h>

#include <concepts>
#include <utility>

namespace model = weft::model;

namespace {

using channel = weft::channel<int>;

/// Runs the tasks beside each other; each ends with a value.
void run_all(std::same_as<weft::task<>> auto... tasks) {
    model::crew workers;
    model::job const jobs[] = {model::job(workers, std::move(tasks))...};
    workers.run();
    for (model::job const& each : jobs) {
        model::expect(each.has_value(), "a task is lost");
    }
}

weft::task<> send(channel& to) {
    co_await to.send(1);
}

weft::task<> unlock(weft::mutex& lock) {
    lock.unlock();
    co_return;
}

weft::task<> lock_or_receive(weft::mutex& lock, channel& values, int& outcome) {
    auto won = co_await weft::select(weft::biased, lock.lock(), values.recv());
    outcome = static_cast<int>(won.index());
}

/// The holder leaves and a value arrives: one of the two is had, and the other is there.
void mutex_or_channel() {
    weft::mutex lock;
    channel values(1);
    int outcome = -1;
    (void)lock.try_lock();
    run_all(lock_or_receive(lock, values, outcome), unlock(lock), send(values));
    model::expect(values.empty() == (outcome == 1), "a value is lost, or taken twice");
    model::expect(lock.try_lock() == (outcome == 1), "a lock is lost, or taken twice");
    lock.unlock();
}

weft::task<> lock_and_count(weft::mutex& lock, model::plain<int>& count) {
    auto const guard = co_await lock.scoped_lock();
    count.write(count.read() + 1);
}

weft::task<> guard_or_receive(weft::mutex& lock, channel& values, model::plain<int>& count) {
    auto won = co_await weft::select(weft::biased, values.recv(), lock.scoped_lock());
    if (won.index() == 1) {
        count.write(count.read() + 1);
    }
}

/// Whoever stands behind the select gets the mutex, whatever becomes of the select.
void next_in_queue() {
    weft::mutex lock;
    channel values(1);
    model::plain<int> count{0};
    (void)lock.try_lock();
    model::crew workers;
    model::job one(workers, guard_or_receive(lock, values, count));
    model::job two(workers, lock_and_count(lock, count));
    auto acts = [&] {
        (void)values.try_send(1);
        lock.unlock();
    };
    model::thread holder(acts);
    workers.run();
    model::expect(one.has_value() && two.has_value(), "a locker is lost");
    model::expect(count.read() == (values.empty() ? 1 : 2), "a branch that lost takes effect");
    model::expect(lock.try_lock(), "a lock is lost");
    lock.unlock();
}

weft::task<> signal_or_permit(weft::auto_reset_event& signal,
                              weft::semaphore& permits,
                              int& outcome) {
    auto won = co_await weft::select(signal.wait(), permits.acquire(1));
    outcome = static_cast<int>(won.index());
}

weft::task<> set(weft::auto_reset_event& signal) {
    signal.set();
    co_return;
}

weft::task<> release(weft::semaphore& permits) {
    permits.release();
    co_return;
}

void event_or_semaphore() {
    weft::auto_reset_event signal;
    weft::semaphore permits(0);
    int outcome = -1;
    run_all(signal_or_permit(signal, permits, outcome), set(signal), release(permits));
    model::expect(signal.try_wait() == (outcome == 1), "a signal is lost, or taken twice");
    model::expect(permits.available() == (outcome == 0 ? 1 : 0), "a permit is lost");
}

/// The permit may come when the select stands in the queue of the signal already.
void free_while_enlisting() {
    weft::auto_reset_event signal;
    weft::semaphore permits(0);
    int outcome = -1;
    run_all(signal_or_permit(signal, permits, outcome), release(permits));
    model::expect(outcome == 1, "a permit is lost");
    signal.set();
    model::expect(signal.try_wait(), "a select that is over stands in a queue");
}

/// The stop meets a signal and a permit: one is taken, or none.
void stopped() {
    weft::auto_reset_event signal;
    weft::semaphore permits(0);
    int outcome = -1;
    model::crew workers;
    model::job one(workers, signal_or_permit(signal, permits, outcome));
    model::job two(workers, set(signal));
    auto stops = [&] { one.request_stop(); };
    model::thread stopper(stops);
    workers.run();
    permits.release();
    model::expect(one.has_value() == (outcome == 0), "a stopped select has taken effect");
    model::expect(signal.try_wait() == (outcome != 0), "a signal is lost, or taken twice");
    model::expect(permits.try_acquire(), "a stopped select is still there");
}

weft::task<> acquire_two_or_receive(weft::semaphore& permits, channel& values) {
    auto won = co_await weft::select(weft::biased, values.recv(), permits.acquire(2));
    if (won.index() == 1) {
        permits.release(2);
    }
}

weft::task<> acquire_one(weft::semaphore& permits) {
    co_await permits.acquire(1);
}

/// Whoever wants less than the select does is let in when the select leaves the queue.
void leaving_lets_in() {
    weft::semaphore permits(1);
    channel values(1);
    run_all(acquire_two_or_receive(permits, values), acquire_one(permits), send(values));
    model::expect(permits.available() == 0, "a permit is lost");
}

weft::task<> acquire_and_open(weft::semaphore& permits, model::gate& passed) {
    co_await permits.acquire(1);
    passed.open();
}

weft::task<> wait_for(model::gate& passed) {
    co_await passed;
}

weft::task<> receive(channel& values) {
    (void)co_await values.recv();
}

template <bool InTask>
weft::task<> select_in_front(weft::semaphore& permits, channel& values, model::gate& passed) {
    if constexpr (InTask) {
        (void)co_await weft::select(
            weft::biased, receive(values), permits.acquire(2), wait_for(passed));
    } else {
        (void)co_await weft::select(
            weft::biased, values.recv(), permits.acquire(2), wait_for(passed));
    }
}

/// A branch that no stop ends waits for somebody who stands behind the select. The value decides,
/// which is received by the select itself or by a task.
template <bool InTask>
void loser_waits_for_next() {
    weft::semaphore permits(1);
    channel values(1);
    model::gate passed;
    run_all(select_in_front<InTask>(permits, values, passed),
            acquire_and_open(permits, passed),
            send(values));
    model::expect(permits.available() == 0, "a permit is lost");
}

// --- conditions -----------------------------------------------------------------------

struct shared_state {
    weft::mutex lock;
    weft::condition_variable changed;
    model::plain<int> items{0};
    channel values{1};
};

weft::task<> wait_or_receive(shared_state& state, int& outcome) {
    auto guard = co_await state.lock.scoped_lock();
    if (state.items.read() == 0) {
        auto won =
            co_await weft::select(weft::biased, state.values.recv(), state.changed.wait(guard));
        outcome = static_cast<int>(won.index());
    }
    state.items.write(state.items.read() + 10);  // with the mutex
}

weft::task<> take_in_loop(shared_state& state) {
    auto guard = co_await state.lock.scoped_lock();
    while (state.items.read() % 10 == 0) {
        co_await state.changed.wait(guard);
    }
    state.items.write(state.items.read() - 1);
}

weft::task<> add(shared_state& state) {
    auto const guard = co_await state.lock.scoped_lock();
    state.items.write(state.items.read() + 1);
    state.changed.notify_one();
}

void condition_or_channel() {
    shared_state state;
    int outcome = -1;
    run_all(wait_or_receive(state, outcome), add(state), send(state.values));
    model::expect(state.values.empty() == (outcome == 0), "a value is lost, or taken twice");
    model::expect(state.items.read() == 11 && state.lock.try_lock(), "the mutex is kept");
    state.lock.unlock();
}

/// Has no use for the notification if it gets one, and gives it on.
weft::task<> receive_or_give_on(shared_state& state) {
    auto guard = co_await state.lock.scoped_lock();
    auto won = co_await weft::select(weft::biased, state.values.recv(), state.changed.wait(guard));
    if (won.index() == 1) {
        state.changed.notify_one();
    }
}

weft::task<> add_and_send(shared_state& state) {
    co_await add(state);
    (void)state.values.try_send(1);
}

/// A notification that the select was woken with, but lost, is for the taker.
void passed_on() {
    shared_state state;
    run_all(receive_or_give_on(state), take_in_loop(state), add_and_send(state));
    model::expect(state.lock.try_lock(), "the mutex is kept");
    state.lock.unlock();
}

weft::task<> wait_with_lock(shared_state& state) {
    auto guard = co_await state.lock.scoped_lock();
    co_await state.changed.wait(guard);
}

weft::task<> sleep_with_lock(shared_state& state, channel& never) {
    auto const guard = co_await state.lock.scoped_lock();
    (void)co_await never.recv();
}

weft::task<> select_shared(shared_state& state, channel& never) {
    auto won = co_await weft::select(
        wait_with_lock(state), sleep_with_lock(state, never), state.values.recv());
    model::expect(won.index() == 2, "a branch that only a stop ends has won");
}

/// Both are stopped, and one wants on its way out what the other has.
void branches_share_a_lock() {
    shared_state state;
    channel never(0);
    run_all(select_shared(state, never), send(state.values));
    model::expect(state.lock.try_lock(), "the mutex is kept");
    state.lock.unlock();
}

weft::task<> wait_beside_waiter(shared_state& state) {
    auto guard = co_await state.lock.scoped_lock();
    if (state.items.read() == 0) {
        auto won = co_await weft::select(state.changed.wait(guard), wait_with_lock(state));
        model::expect(won.index() == 0, "who waits longest is not notified first");
    }
    state.items.write(state.items.read() + 10);  // with the mutex
}

weft::task<> receive_beside_waiters(shared_state& state) {
    auto guard = co_await state.lock.scoped_lock();
    auto won = co_await weft::select(
        state.values.recv(), wait_with_lock(state), state.changed.wait(guard));
    model::expect(won.index() == 0, "a branch that only a stop ends has won");
    state.items.write(state.items.read() + 1);  // with the mutex
}

/// The task that loses wants on its way out the mutex that the select wants.
void waits_share_a_mutex() {
    shared_state state;
    run_all(wait_beside_waiter(state), add(state));
    model::expect(state.items.read() == 11 && state.lock.try_lock(), "the mutex is kept");
    state.lock.unlock();
}

void losing_waits_share_a_mutex() {
    shared_state state;
    run_all(receive_beside_waiters(state), send(state.values));
    model::expect(state.items.read() == 1 && state.lock.try_lock(), "the mutex is kept");
    state.lock.unlock();
}

// --- what runs in a coroutine of its own ------------------------------------------------

template <class Body>
weft::task<> call_or_receive(weft::once& once, Body const& body, channel& values, int& outcome) {
    auto won = co_await weft::select(weft::biased, values.recv(), once.call(body));
    outcome = static_cast<int>(won.index());
}

weft::task<> close(channel& closed) {
    closed.close();
    co_return;
}

/// A call that loses leaves nothing behind but what it has done.
void once_or_channel() {
    weft::once once;
    channel values(1);
    channel never(0);
    int outcome = -1;
    auto const body = [&never]() -> weft::task<> { (void)co_await never.recv(); };
    run_all(call_or_receive(once, body, values, outcome), send(values), close(never));
    model::expect(values.empty() == (outcome == 0), "a value is lost, or taken twice");
    model::expect(outcome == 0 || once.is_done(), "what wins is not done");
}

weft::task<> once_call(weft::once& once) {
    auto const body = []() -> weft::task<> { co_await model::reschedule{}; };
    co_await once.call(body);
}

/// The same for a call that waits for another's.
void awaited_once_or_channel() {
    weft::once once;
    channel values(1);
    int outcome = -1;
    auto const nothing = []() -> weft::task<> { co_return; };
    run_all(call_or_receive(once, nothing, values, outcome), once_call(once), send(values));
    model::expect(once.is_done(), "a call is lost");
    model::expect(values.empty() == (outcome == 0), "a value is lost, or taken twice");
}

weft::task<int> give_late() {
    co_await model::reschedule{};
    co_return 7;
}

weft::task<> join_or_receive(channel& values, int& outcome) {
    auto body = [&](weft::nursery& children) -> weft::task<> {
        auto child = children.spawn(give_late());
        auto won = co_await weft::select(weft::biased, values.recv(), child.join());
        outcome = static_cast<int>(won.index());
        model::expect(outcome == 0 || *won.get<1>() == 7, "a child's value is lost");
    };
    co_await weft::scope(body);
}

void join_or_channel() {
    channel values(1);
    int outcome = -1;
    run_all(join_or_receive(values, outcome), send(values));
    model::expect(values.empty() == (outcome == 0), "a value is lost, or taken twice");
}

}  // namespace

TEST_SUITE("model/select_primitives") {
    TEST_CASE("exactly one branch takes effect, and nothing is lost") {
        CHECK(model::explore("mutex_or_channel", &mutex_or_channel, {.stale_reads = 0}));
        CHECK(model::explore("event_or_semaphore", &event_or_semaphore, {.stale_reads = 1}));
        CHECK(model::explore("free_while_enlisting", &free_while_enlisting, {.stale_reads = 1}));
    }

    TEST_CASE("who waits behind a branch that loses gets what it was to have") {
        CHECK(model::explore("next_in_queue", &next_in_queue, {.stale_reads = 0}));
        CHECK(model::explore("leaving_lets_in", &leaving_lets_in, {.stale_reads = 0}));
        CHECK(model::explore(
            "loser_waits_for_next", &loser_waits_for_next<false>, {.stale_reads = 0}));
        CHECK(
            model::explore("loser_waits_in_task", &loser_waits_for_next<true>, {.stale_reads = 0}));
    }

    TEST_CASE("a select that meets a stop takes one thing or none") {
        CHECK(model::explore("stopped", &stopped, {.stale_reads = 0}));
    }

    TEST_CASE("a wait for a condition goes on with the mutex, and loses no notification") {
        CHECK(model::explore("condition_or_channel", &condition_or_channel, {.stale_reads = 0}));
        CHECK(model::explore("passed_on", &passed_on, {.stale_reads = 0}));
        CHECK(model::explore("branches_share_a_lock", &branches_share_a_lock, {.stale_reads = 0}));
        CHECK(model::explore("waits_share_a_mutex", &waits_share_a_mutex, {.stale_reads = 0}));
        CHECK(model::explore(
            "losing_waits_share_a_mutex", &losing_waits_share_a_mutex, {.stale_reads = 0}));
    }

    TEST_CASE("a call of once and a join that lose refer to nothing of the select's") {
        CHECK(model::explore("once_or_channel", &once_or_channel, {.stale_reads = 0}));
        CHECK(model::explore(
            "awaited_once_or_channel", &awaited_once_or_channel, {.stale_reads = 0}));
        CHECK(model::explore("join_or_channel", &join_or_channel, {.stale_reads = 0}));
    }
}
