/// The semaphore of sync/, its waiters being coroutines.

#include <weft/sync/locks/semaphore.hpp>
#include <weft/tests/model/coroutines.hpp>

#include <doctest/doctest.h>

#include <memory>

namespace model = weft::model;

namespace {

template <std::size_t Count>
weft::task<> add(weft::semaphore& permits, model::plain<int>& value) {
    co_await permits.acquire(Count);
    value.write(value.read() + 1);
    permits.release(Count);
}

/// One permit: nobody else is in.
void two_of_one() {
    weft::semaphore permits(1);
    model::plain<int> value{0};
    model::crew workers;
    model::job one(workers, add<1>(permits, value));
    model::job other(workers, add<1>(permits, value));
    workers.run();
    model::expect(value.read() == 2 && permits.available() == 1, "a permit is lost");
}

/// Whoever wants both waits for the others, and is not overtaken by who wants one.
void mixed_counts() {
    weft::semaphore permits(2);
    model::plain<int> one_value{0};
    model::plain<int> three_value{0};
    model::crew workers;
    model::job one(workers, add<2>(permits, one_value));
    model::job two(workers, add<2>(permits, one_value));
    model::job three(workers, add<1>(permits, three_value));
    workers.run();
    model::expect(one_value.read() == 2 && three_value.read() == 1, "a permit is lost");
    model::expect(permits.available() == 2, "a permit is lost");
}

weft::task<> consume(weft::semaphore& permits, model::plain<int>& value) {
    co_await permits.acquire(2);
    model::expect(value.read() == 1, "a permit comes without what was written before it");
}

weft::task<> produce(weft::semaphore& permits, model::plain<int>& value) {
    value.write(1);
    permits.release();
    co_return;
}

/// Permits come from two tasks, one at a time, for one that needs two.
void gathered() {
    weft::semaphore permits(0);
    model::plain<int> value{0};
    model::plain<int> other_value{0};
    model::crew workers;
    model::job one(workers, consume(permits, value));
    model::job two(workers, produce(permits, value));
    model::job three(workers, produce(permits, other_value));
    workers.run();
    model::expect(permits.available() == 0, "a permit is lost");
}

/// The stop meets a waiter that is being given permits; they are not lost.
void stopped_waiter() {
    weft::semaphore permits(1);
    model::plain<int> value{0};
    model::crew workers;
    model::job one(workers, add<1>(permits, value));
    model::job other(workers, add<1>(permits, value));
    auto stops = [&] { other.request_stop(); };
    model::thread stopper(stops);
    workers.run();
    model::expect(value.read() == (other.has_value() ? 2 : 1), "a stopped waiter went on");
    model::expect(permits.available() == 1, "a permit is lost");
}

/// The first in the queue wants two and is stopped: who wants one behind it can have it.
void stopped_in_front() {
    weft::semaphore permits(1, 2);
    model::plain<int> value{0};
    model::crew workers;
    model::job one(workers, add<2>(permits, value));
    model::job other(workers, add<1>(permits, value));
    auto stops = [&] { one.request_stop(); };
    model::thread stopper(stops);
    workers.run();
    model::expect(one.was_stopped() && other.has_value(), "a waiter is lost");
    model::expect(value.read() == 1 && permits.available() == 1, "a permit is lost");
}

template <std::size_t Count>
weft::task<> acquire(weft::semaphore& permits) {
    co_await permits.acquire(Count);
}

template <std::size_t Count>
weft::task<> release_after(weft::semaphore& permits, model::plain<int>& value) {
    value.write(1);
    permits.release(Count);
    co_return;
}

weft::task<> try_to_read(weft::semaphore& permits, model::plain<int> const& value) {
    if (permits.try_acquire()) {
        model::expect(value.read() == 1, "a permit comes without what was written before it");
    }
    co_return;
}

/// What one waiter leaves of the permits that are released is for who tries.
void more_than_wanted() {
    weft::semaphore permits(0);
    model::plain<int> value{0};
    model::crew workers(3);
    model::job one(workers, acquire<1>(permits));
    model::job two(workers, release_after<2>(permits, value));
    model::job three(workers, try_to_read(permits, value));
    workers.run();
    model::expect(one.has_value(), "a waiter is lost");
}

/// A permit is too few for the waiter; when that is stopped, it is for who tries.
void left_by_the_stopped() {
    weft::semaphore permits(0);
    model::plain<int> value{0};
    model::crew workers(3);
    model::job one(workers, acquire<2>(permits));
    model::job two(workers, release_after<1>(permits, value));
    model::job three(workers, try_to_read(permits, value));
    auto stops = [&] { one.request_stop(); };
    model::thread stopper(stops);
    workers.run();
    model::expect(one.was_stopped(), "a waiter has permits that there are not");
}

weft::task<> leave_last(std::unique_ptr<weft::semaphore>& permits, model::plain<int>& left) {
    co_await permits->acquire();
    left.write(left.read() - 1);
    if (left.read() == 0) {
        permits.reset();
    } else {
        permits->release();
    }
}

void destroyed_by_the_last() {
    auto permits = std::make_unique<weft::semaphore>(1);
    model::plain<int> left{2};
    model::crew workers;
    model::job one(workers, leave_last(permits, left));
    model::job other(workers, leave_last(permits, left));
    workers.run();
    model::expect(permits == nullptr, "nobody was last");
}

}  // namespace

TEST_SUITE("model/semaphore") {
    TEST_CASE("no permit is given twice or lost, and with it comes what was written before") {
        CHECK(model::explore("two_of_one", &two_of_one));
        CHECK(model::explore("mixed_counts", &mixed_counts, {.stale_reads = 1}));
        CHECK(model::explore("gathered", &gathered, {.stale_reads = 1}));
    }

    TEST_CASE("a waiter that is stopped has its permits or has not, and nobody waits in vain") {
        CHECK(model::explore("stopped_waiter", &stopped_waiter, {.stale_reads = 1}));
        CHECK(model::explore("stopped_in_front", &stopped_in_front, {.stale_reads = 0}));
    }

    TEST_CASE("permits that a waiter leaves come with what was written before") {
        CHECK(model::explore("more_than_wanted", &more_than_wanted, {.stale_reads = 1}));
        CHECK(model::explore("left_by_the_stopped", &left_by_the_stopped, {.stale_reads = 0}));
    }

    TEST_CASE("the last task that acquires may destroy the semaphore") {
        CHECK(model::explore("destroyed_by_the_last", &destroyed_by_the_last));
    }
}
