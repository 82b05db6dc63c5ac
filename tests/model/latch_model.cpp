/// The latch of sync/.

#include <weft/sync/locks/latch.hpp>
#include <weft/tests/model/coroutines.hpp>

#include <doctest/doctest.h>

#include <memory>

namespace model = weft::model;

namespace {

weft::task<> arrive(weft::latch& door, model::plain<int>& written) {
    written.write(1);
    door.count_down();
    co_return;
}

weft::task<> pass(weft::latch& door, model::plain<int>& one, model::plain<int>& other) {
    co_await door.wait();
    model::expect(one.read() + other.read() == 2, "who passes does not see what came before");
}

void counted_down() {
    weft::latch door(2);
    model::plain<int> one_value{0};
    model::plain<int> other_value{0};
    model::crew workers;
    model::job one(workers, pass(door, one_value, other_value));
    model::job two(workers, arrive(door, one_value));
    model::job three(workers, arrive(door, other_value));
    workers.run();
    model::expect(one.has_value(), "a waiter is lost");
}

weft::task<> arrive_and_pass(weft::latch& door, model::plain<int>& mine, model::plain<int>& other) {
    mine.write(1);
    co_await door.arrive_and_wait();
    model::expect(other.read() == 1, "who passes does not see what came before");
}

void met() {
    weft::latch door(2);
    model::plain<int> one_value{0};
    model::plain<int> other_value{0};
    model::crew workers;
    model::job one(workers, arrive_and_pass(door, one_value, other_value));
    model::job other(workers, arrive_and_pass(door, other_value, one_value));
    workers.run();
    model::expect(one.has_value() && other.has_value(), "a waiter is lost");
}

/// The stop meets the last count, with another one waiting.
void stopped_waiter() {
    weft::latch door(1);
    model::plain<int> value{1};
    model::plain<int> written{0};
    model::crew workers;
    model::job one(workers, pass(door, value, written));
    model::job two(workers, pass(door, value, written));
    model::job three(workers, arrive(door, written));
    auto stops = [&] { two.request_stop(); };
    model::thread stopper(stops);
    workers.run();
    model::expect(one.has_value(), "a waiter is lost");
    model::expect(two.has_value() || two.was_stopped(), "a stopped waiter is lost");
}

weft::task<> count_down(std::unique_ptr<weft::latch>& door) {
    door->count_down();
    co_return;
}

weft::task<> pass_and_destroy(std::unique_ptr<weft::latch>& door) {
    co_await door->wait();
    door.reset();
}

/// Whoever passes may destroy the latch, though count_down() has not returned.
void destroyed_by_the_waiter() {
    auto door = std::make_unique<weft::latch>(1);
    model::crew workers;
    model::job one(workers, pass_and_destroy(door));
    model::job other(workers, count_down(door));
    workers.run();
    model::expect(door == nullptr, "a waiter is lost");
}

}  // namespace

TEST_SUITE("model/latch") {
    TEST_CASE("who passes sees what was written before every count") {
        CHECK(model::explore("counted_down", &counted_down, {.stale_reads = 1}));
        CHECK(model::explore("met", &met));
    }

    TEST_CASE("a waiter that is stopped passes or has not, and the others pass") {
        CHECK(model::explore("stopped_waiter", &stopped_waiter, {.stale_reads = 0}));
    }

    TEST_CASE("who passes may destroy the latch") {
        CHECK(model::explore("destroyed_by_the_waiter", &destroyed_by_the_waiter));
    }
}
