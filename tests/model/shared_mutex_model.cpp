/// The shared mutex of sync/.

#include <weft/runtime/task/as_result.hpp>
#include <weft/sync/locks/shared_mutex.hpp>
#include <weft/tests/model/coroutines.hpp>

#include <doctest/doctest.h>

#include <memory>

namespace model = weft::model;

namespace {

weft::task<> write(weft::shared_mutex& lock, model::plain<int>& value) {
    co_await lock.lock();
    value.write(value.read() + 1);
    lock.unlock();
}

weft::task<> read(weft::shared_mutex& lock, model::plain<int>& value) {
    co_await lock.lock_shared();
    (void)value.read();
    lock.unlock_shared();
}

void expect_free(weft::shared_mutex& lock) {
    model::expect(lock.try_lock(), "a free mutex is locked");
    lock.unlock();
}

void two_writers() {
    weft::shared_mutex lock;
    model::plain<int> value{0};
    model::crew workers;
    model::job one(workers, write(lock, value));
    model::job other(workers, write(lock, value));
    workers.run();
    model::expect(value.read() == 2, "a writer is lost");
    expect_free(lock);
}

void reader_and_writer() {
    weft::shared_mutex lock;
    model::plain<int> value{0};
    model::crew workers;
    model::job one(workers, write(lock, value));
    model::job other(workers, read(lock, value));
    workers.run();
    model::expect(value.read() == 1 && other.has_value(), "a reader or a writer is lost");
    expect_free(lock);
}

/// Readers on both sides of a writer.
void readers_around() {
    weft::shared_mutex lock;
    model::plain<int> value{0};
    model::crew workers;
    model::job one(workers, read(lock, value));
    model::job two(workers, write(lock, value));
    model::job three(workers, read(lock, value));
    workers.run();
    model::expect(one.has_value() && two.has_value() && three.has_value(), "somebody is lost");
    expect_free(lock);
}

/// A writer that is stopped lets the readers behind it in.
void stopped_writer() {
    weft::shared_mutex lock;
    model::plain<int> value{0};
    model::crew workers;
    model::job one(workers, read(lock, value));
    model::job two(workers, write(lock, value));
    model::job three(workers, read(lock, value));
    auto stops = [&] { two.request_stop(); };
    model::thread stopper(stops);
    workers.run();
    model::expect(one.has_value() && three.has_value(), "a reader is lost");
    model::expect(value.read() == (two.has_value() ? 1 : 0), "a stopped writer went on");
    expect_free(lock);
}

/// The reader finds a writer announced that is gone, and another writer comes behind it.
void stopped_beside_a_reader() {
    weft::shared_mutex lock;
    model::plain<int> value{0};
    model::crew workers;
    model::job one(workers, read(lock, value));
    model::job two(workers, write(lock, value));
    model::job three(workers, write(lock, value));
    auto stops = [&] { two.request_stop(); };
    model::thread stopper(stops);
    workers.run();
    model::expect(one.has_value() && three.has_value(), "somebody is lost");
    expect_free(lock);
}

/// The reader's unlock finds a writer announced that has left when it looks again. Whoever locks
/// next has nothing but that unlock to know of the reader's end.
void stopped_during_an_unlock() {
    weft::shared_mutex lock;
    model::plain<int> value{0};
    model::crew workers;
    model::job one(workers, read(lock, value));
    model::job two(workers, write(lock, value));
    auto stops_and_locks = [&] {
        two.request_stop();
        while (!lock.try_lock()) {
            model::yield();
        }
        value.write(value.read() + 1);
        lock.unlock();
    };
    model::thread stopper(stops_and_locks);
    workers.run();
    stopper.join();
    model::expect(one.has_value() && value.read() == (two.has_value() ? 2 : 1), "somebody is lost");
    expect_free(lock);
}

/// Waits, and tries once more when it was stopped.
weft::task<> lock_or_try(weft::shared_mutex& lock, model::plain<int>& value) {
    auto const locked = co_await (lock.lock() | weft::as_result);
    if (locked || lock.try_lock()) {
        value.write(value.read() + 1);
        lock.unlock();
    }
}

/// The unlock finds a waiter announced, and perhaps gone when it comes to the queue.
void stopped_behind_a_writer() {
    weft::shared_mutex lock;
    model::plain<int> value{0};
    model::crew workers;
    model::job one(workers, write(lock, value));
    model::job two(workers, lock_or_try(lock, value));
    auto stops = [&] { two.request_stop(); };
    model::thread stopper(stops);
    workers.run();
    model::expect(one.has_value() && value.read() != 0, "a writer is lost");
    expect_free(lock);
}

weft::task<> leave_last(std::unique_ptr<weft::shared_mutex>& lock, model::plain<int>& left) {
    co_await lock->lock();
    left.write(left.read() - 1);
    bool const is_last = left.read() == 0;
    lock->unlock();
    if (is_last) {
        lock.reset();
    }
}

void destroyed_by_the_last() {
    auto lock = std::make_unique<weft::shared_mutex>();
    model::plain<int> left{2};
    model::crew workers;
    model::job one(workers, leave_last(lock, left));
    model::job other(workers, leave_last(lock, left));
    workers.run();
    model::expect(lock == nullptr, "nobody was last");
}

}  // namespace

TEST_SUITE("model/shared_mutex") {
    TEST_CASE("a writer is alone, with what those before it wrote") {
        CHECK(model::explore("two_writers", &two_writers, {.stale_reads = 1}));
        CHECK(model::explore("reader_and_writer", &reader_and_writer, {.stale_reads = 1}));
        CHECK(model::explore("readers_around", &readers_around, {.stale_reads = 0}));
    }

    TEST_CASE("a writer that is stopped lets the readers behind it in") {
        CHECK(model::explore("stopped_writer", &stopped_writer, {.stale_reads = 0}));
        CHECK(model::explore(
            "stopped_beside_a_reader", &stopped_beside_a_reader, {.stale_reads = 0}));
        CHECK(model::explore(
            "stopped_during_an_unlock", &stopped_during_an_unlock, {.stale_reads = 0}));
        CHECK(model::explore(
            "stopped_behind_a_writer", &stopped_behind_a_writer, {.stale_reads = 0}));
    }

    TEST_CASE("the last task that is let in may destroy the mutex") {
        CHECK(model::explore("destroyed_by_the_last", &destroyed_by_the_last, {.stale_reads = 0}));
    }
}
