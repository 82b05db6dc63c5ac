/// The barrier of sync/.

#include <weft/sync/locks/barrier.hpp>
#include <weft/tests/model/coroutines.hpp>

#include <doctest/doctest.h>

#include <memory>

namespace model = weft::model;

namespace {

/// Counts the phases, alone.
struct count_phase {
    explicit count_phase(model::plain<int>& count) noexcept : phases(&count) {}

    void operator()() const noexcept { phases->write(phases->read() + 1); }

    model::plain<int>* phases;
};

using barrier = weft::barrier<count_phase>;

template <int Phases>
weft::task<> take_part(barrier& line, model::plain<int>& mine, model::plain<int>& other) {
    for (int phase = 1; phase <= Phases; ++phase) {
        mine.write(phase);
        co_await line.arrive_and_wait();
        model::expect(other.read() == phase, "a phase begins before the last one has ended");
        co_await line.arrive_and_wait();
    }
}

void phases_follow() {
    model::plain<int> phases{0};
    barrier line(2, count_phase(phases));
    model::plain<int> one_value{0};
    model::plain<int> other_value{0};
    model::crew workers;
    model::job one(workers, take_part<1>(line, one_value, other_value));
    model::job other(workers, take_part<1>(line, other_value, one_value));
    workers.run();
    model::expect(one.has_value() && other.has_value(), "somebody waits in vain");
    model::expect(phases.read() == 2, "a phase is lost");
}

weft::task<> arrive(barrier& line) {
    co_await line.arrive_and_wait();
}

/// An arrival that is stopped is taken back, or the phase has ended with it.
void stopped_arrival() {
    model::plain<int> phases{0};
    barrier line(2, count_phase(phases));
    model::crew workers;
    model::job one(workers, arrive(line));
    model::job other(workers, arrive(line));
    auto stops = [&] {
        one.request_stop();
        other.request_stop();
    };
    model::thread stopper(stops);
    workers.run();
    model::expect(one.has_value() == other.has_value(), "one is let through, and the other is not");
    model::expect(phases.read() == (one.has_value() ? 1 : 0), "a phase ends without everybody");
}

weft::task<> drop_out(barrier& line) {
    line.arrive_and_drop();
    co_return;
}

void dropped_out() {
    model::plain<int> phases{0};
    barrier line(3, count_phase(phases));
    model::crew workers;
    model::job one(workers, arrive(line));
    model::job two(workers, arrive(line));
    model::job three(workers, drop_out(line));
    workers.run();
    model::expect(one.has_value() && two.has_value(), "somebody waits in vain");
    model::expect(phases.read() == 1, "a phase is lost");
}

weft::task<> leave_last(std::unique_ptr<barrier>& line, model::plain<int>& waiting) {
    co_await line->arrive_and_wait();
    if (waiting.read() == 1) {
        line.reset();
    }
}

weft::task<> end_phase(std::unique_ptr<barrier>& line) {
    line->arrive_and_drop();
    co_return;
}

/// Who is let through may destroy the barrier, though the last arrival has not returned.
void destroyed_by_the_waiter() {
    model::plain<int> phases{0};
    model::plain<int> waiting{1};
    auto line = std::make_unique<barrier>(2, count_phase(phases));
    model::crew workers;
    model::job one(workers, leave_last(line, waiting));
    model::job other(workers, end_phase(line));
    workers.run();
    model::expect(line == nullptr, "somebody waits in vain");
}

}  // namespace

TEST_SUITE("model/barrier") {
    TEST_CASE("nobody begins a phase before everybody has ended the last one") {
        CHECK(model::explore("phases_follow", &phases_follow, {.stale_reads = 0}));
        CHECK(model::explore("dropped_out", &dropped_out, {.stale_reads = 0}));
    }

    TEST_CASE("an arrival that is stopped counts, or is taken back") {
        CHECK(model::explore("stopped_arrival", &stopped_arrival, {.stale_reads = 0}));
    }

    TEST_CASE("who is let through may destroy the barrier") {
        CHECK(model::explore(
            "destroyed_by_the_waiter", &destroyed_by_the_waiter, {.stale_reads = 0}));
    }
}
