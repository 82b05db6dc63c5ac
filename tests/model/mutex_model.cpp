/// The mutex of sync/, its waiters being coroutines.

#include <weft/sync/locks/mutex.hpp>
#include <weft/tests/model/coroutines.hpp>

#include <doctest/doctest.h>

#include <memory>

namespace model = weft::model;

namespace {

weft::task<> add(weft::mutex& lock, model::plain<int>& value) {
    auto const guard = co_await lock.scoped_lock();
    value.write(value.read() + 1);
}

void two_lockers() {
    weft::mutex lock;
    model::plain<int> value{0};
    model::crew workers;
    model::job one(workers, add(lock, value));
    model::job other(workers, add(lock, value));
    workers.run();
    model::expect(value.read() == 2, "a locker is lost");
}

template <unsigned Workers>
void three_lockers() {
    weft::mutex lock;
    model::plain<int> value{0};
    model::crew workers(Workers);
    model::job one(workers, add(lock, value));
    model::job two(workers, add(lock, value));
    model::job three(workers, add(lock, value));
    workers.run();
    model::expect(value.read() == 3, "a locker is lost");
}

/// The holder gives its worker away while it holds.
weft::task<> add_across(weft::mutex& lock, model::plain<int>& value) {
    auto const guard = co_await lock.scoped_lock();
    int const before = value.read();
    co_await model::reschedule{};
    value.write(before + 1);
}

void holder_suspends() {
    weft::mutex lock;
    model::plain<int> value{0};
    model::crew workers;
    model::job one(workers, add_across(lock, value));
    model::job other(workers, add_across(lock, value));
    workers.run();
    model::expect(value.read() == 2, "a locker is lost");
}

weft::task<> try_to_add(weft::mutex& lock, model::plain<int>& value, model::plain<int>& count) {
    if (auto const guard = lock.try_scoped_lock()) {
        value.write(value.read() + 1);
        count.write(1);
    }
    co_return;
}

void trying() {
    weft::mutex lock;
    model::plain<int> value{0};
    model::plain<int> count{0};
    model::crew workers;
    model::job one(workers, add(lock, value));
    model::job other(workers, try_to_add(lock, value, count));
    workers.run();
    model::expect(value.read() == 1 + count.read(), "a locker is lost");
    model::expect(lock.try_lock(), "a free mutex is locked");
    lock.unlock();
}

/// The stop meets a waiter that is being let in: it has the lock and goes on, or neither.
void stopped_waiter() {
    weft::mutex lock;
    model::plain<int> value{0};
    model::crew workers;
    model::job one(workers, add_across(lock, value));
    model::job other(workers, add(lock, value));
    auto stops = [&] { other.request_stop(); };
    model::thread stopper(stops);
    workers.run();
    model::expect(one.has_value(), "a holder is lost");
    model::expect(value.read() == (other.has_value() ? 2 : 1), "a stopped locker went on");
    model::expect(lock.try_lock(), "a stopped waiter keeps the mutex");
    lock.unlock();
}

/// A waiter is stopped while one stands behind it.
void stopped_between() {
    weft::mutex lock;
    model::plain<int> value{0};
    model::crew workers;
    model::job one(workers, add(lock, value));
    model::job two(workers, add(lock, value));
    model::job three(workers, add(lock, value));
    auto stops = [&] { two.request_stop(); };
    model::thread stopper(stops);
    workers.run();
    model::expect(one.has_value() && three.has_value(), "a waiter is lost");
    model::expect(value.read() == (two.has_value() ? 3 : 2), "a stopped locker went on");
}

/// The only waiter is stopped while the holder looks for it, and another one tries.
void stopped_while_handing_over() {
    weft::mutex lock;
    model::plain<int> value{0};
    model::plain<int> count{0};
    model::crew workers(3);
    model::job one(workers, add(lock, value));
    model::job two(workers, add(lock, value));
    model::job three(workers, try_to_add(lock, value, count));
    auto stops = [&] { two.request_stop(); };
    model::thread stopper(stops);
    workers.run();
    model::expect(one.has_value(), "a holder is lost");
}

weft::task<> hold(weft::mutex& lock, model::gate& end) {
    auto const guard = co_await lock.scoped_lock();
    co_await end;
}

weft::task<> lock_and_open(weft::mutex& lock, model::gate& end) {
    model::gate_opener const opens(end);
    auto const guard = co_await lock.scoped_lock();
}

/// The mutex is held until the waiter has gone: only a stop makes it go.
void stopped_behind_a_holder() {
    weft::mutex lock;
    model::gate end;
    model::crew workers(1);
    model::job holder(workers, hold(lock, end));
    model::job waits(workers, lock_and_open(lock, end));
    auto stops = [&] { waits.request_stop(); };
    model::thread stopper(stops);
    workers.run();
    model::expect(holder.has_value() && waits.was_stopped(), "two hold the mutex");
}

/// The holder finds the queue empty, since its only waiter is stopped, and another one comes.
void comes_while_handing_over() {
    weft::mutex lock;
    model::gate end;
    model::plain<int> value{0};
    model::crew workers;
    model::job one(workers, hold(lock, end));
    model::job two(workers, add(lock, value));
    model::job three(workers, add(lock, value));
    auto stops = [&] {
        end.open();
        two.request_stop();
    };
    model::thread stopper(stops);
    workers.run();
    model::expect(one.has_value() && three.has_value(), "a waiter is lost");
}

weft::task<> leave_last(std::unique_ptr<weft::mutex>& lock, model::plain<int>& left) {
    co_await lock->lock();
    left.write(left.read() - 1);
    bool const is_last = left.read() == 0;
    lock->unlock();
    if (is_last) {
        lock.reset();
    }
}

/// The last one in destroys the mutex, though the unlock that let it in may not have returned.
void destroyed_by_the_last() {
    auto lock = std::make_unique<weft::mutex>();
    model::plain<int> left{2};
    model::crew workers;
    model::job one(workers, leave_last(lock, left));
    model::job other(workers, leave_last(lock, left));
    workers.run();
    model::expect(lock == nullptr, "nobody was last");
}

}  // namespace

TEST_SUITE("model/mutex") {
    TEST_CASE("lockers enter one after the other, with what the one before wrote") {
        CHECK(model::explore("two_lockers", &two_lockers));
        CHECK(model::explore("three_lockers", &three_lockers<2>, {.stale_reads = 1}));
        CHECK(model::explore("three_on_three", &three_lockers<3>, {.stale_reads = 1}));
        CHECK(model::explore("holder_suspends", &holder_suspends));
        CHECK(model::explore("trying", &trying));
    }

    TEST_CASE("a waiter that is stopped has the mutex or has not, and nobody waits in vain") {
        CHECK(model::explore("stopped_waiter", &stopped_waiter, {.stale_reads = 1}));
        CHECK(model::explore("stopped_between", &stopped_between, {.stale_reads = 1}));
        CHECK(model::explore(
            "stopped_while_handing_over", &stopped_while_handing_over, {.stale_reads = 0}));
        CHECK(model::explore(
            "stopped_behind_a_holder", &stopped_behind_a_holder, {.stale_reads = 0}));
        CHECK(model::explore(
            "comes_while_handing_over", &comes_while_handing_over, {.stale_reads = 0}));
    }

    TEST_CASE("the last task that is let in may destroy the mutex") {
        CHECK(model::explore("destroyed_by_the_last", &destroyed_by_the_last));
    }
}
