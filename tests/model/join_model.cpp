/// when_all: the joins of forked children.

#include <weft/runtime/join/when_all.hpp>
#include <weft/runtime/task/as_result.hpp>
#include <weft/runtime/time/sleep.hpp>
#include <weft/sync/locks/event.hpp>
#include <weft/tests/model/coroutines.hpp>

#include <doctest/doctest.h>

#include <chrono>

namespace model = weft::model;
using namespace std::chrono_literals;

namespace {

struct failure {};

weft::task<> write(model::plain<int>& target) {
    target.write(target.read() + 1);
    co_return;
}

weft::task<> fail() {
    throw failure{};
    co_return;
}

/// Ends when it is stopped, if not before.
weft::task<> sleep_long(model::plain<int>& ended) {
    co_await weft::sleep_for(1h);
    ended.write(1);
}

// --- all end ----------------------------------------------------------------------

weft::task<> join_two() {
    model::plain<int> values[2];
    co_await weft::when_all(write(values[0]), write(values[1]));
    model::expect(values[0].read() + values[1].read() == 2, "a child did not run once");
}

void two() {
    model::crew workers;
    model::job parent(workers, join_two());
    workers.run();
    model::expect(parent.has_value(), "a join does not end");
}

weft::task<> join_three() {
    model::plain<int> values[3];
    co_await weft::when_all(write(values[0]), write(values[1]), write(values[2]));
    model::expect(values[0].read() + values[1].read() + values[2].read() == 3,
                  "a child did not run once");
}

template <unsigned Workers>
void three() {
    model::crew workers(Workers);
    model::job parent(workers, join_three());
    workers.run();
    model::expect(parent.has_value(), "a join does not end");
}

/// A child that joins children of its own, which stand above its siblings in the deque.
weft::task<> join_of_joins() {
    model::plain<int> value{0};
    co_await weft::when_all(join_two(), write(value));
    model::expect(value.read() == 1, "a child did not run once");
}

void nested() {
    model::crew workers;
    model::job parent(workers, join_of_joins());
    workers.run();
    model::expect(parent.has_value(), "a join does not end");
}

/// Joins whose children neither wait nor are stolen. Nested in another they are open or not, as the
/// worker chooses.
weft::task<> join_cheaply(int depth) {
    if (depth == 0) {
        co_return;
    }
    auto children = weft::when_all(join_cheaply(depth - 1), join_cheaply(depth - 1));
    std::size_t const before = model::heavy_steps();
    co_await children;
    model::expect(model::heavy_steps() == before, "a join that nobody meets is not free");
}

void alone() {
    model::crew workers(1);
    model::job parent(workers, join_cheaply(2));
    workers.run();
    model::expect(parent.has_value(), "a join does not end");
}

// --- errors -----------------------------------------------------------------------

template <bool IsFirst>
weft::task<> join_with_failure() {
    model::plain<int> slept{0};
    bool caught = false;
    try {
        if constexpr (IsFirst) {
            co_await weft::when_all(fail(), sleep_long(slept));
        } else {
            co_await weft::when_all(sleep_long(slept), fail());
        }
    } catch (failure const&) {
        caught = true;
    }
    slept.write(2);
    model::expect(caught, "an error of a child is lost");
}

template <bool IsFirst>
void failing() {
    model::crew workers;
    model::job parent(workers, join_with_failure<IsFirst>());
    workers.run();
    model::expect(parent.has_value(), "a join does not end");
}

weft::task<> wait_for_ever() {
    weft::manual_reset_event never;
    co_await never.wait();
}

weft::task<> join_with_endless_child(bool& caught) {
    try {
        co_await weft::when_all(wait_for_ever(), fail());
    } catch (failure const&) {
        caught = true;
    }
}

/// Nothing but the failure ends the other child.
void failing_beside_an_endless_child() {
    bool caught = false;
    model::crew workers;
    model::job parent(workers, join_with_endless_child(caught));
    workers.run();
    model::expect(parent.has_value() && caught, "an error of a child is lost");
}

weft::task<> join_two_failures() {
    model::plain<int> written{0};
    bool caught = false;
    try {
        co_await weft::when_all(fail(), write(written), fail());
    } catch (failure const&) {
        caught = true;
    }
    model::expect(caught && written.read() == 1, "an error of a child is lost");
}

void two_failures() {
    model::crew workers;
    model::job parent(workers, join_two_failures());
    workers.run();
    model::expect(parent.has_value(), "a join does not end");
}

// --- stops ------------------------------------------------------------------------

weft::task<> sleep_in_frame(model::plain<int>& frames) {
    model::frame_end const tells(frames);
    co_await weft::sleep_for(1h);
}

weft::task<> join_sleepers(model::plain<int>& one, model::plain<int>& other) {
    co_await weft::when_all(sleep_in_frame(one), sleep_in_frame(other));
}

/// The stop comes from elsewhere at any time; every child's frame is destroyed once.
void stopped() {
    model::plain<int> one{0};
    model::plain<int> other{0};
    {
        model::crew workers;
        model::job parent(workers, join_sleepers(one, other));
        auto stops = [&] { parent.request_stop(); };
        model::thread stopper(stops);
        workers.run();
        model::expect(parent.has_value() || parent.was_stopped(), "a stopped join fails");
    }
    model::expect(one.read() == 1 && other.read() == 1, "a frame is not destroyed once");
}

weft::task<> join_failing_sleeper(model::plain<int>& frames) {
    co_await weft::when_all(sleep_in_frame(frames), fail());
}

/// An error and a stop at the same time: the error is told, and frames end once.
void stopped_and_failing() {
    model::plain<int> frames{0};
    {
        model::crew workers;
        model::job parent(workers, join_failing_sleeper(frames));
        auto stops = [&] { parent.request_stop(); };
        model::thread stopper(stops);
        workers.run();
        model::expect(parent.has_error(), "an error of a child is lost");
    }
    model::expect(frames.read() == 1, "a frame is not destroyed once");
}

}  // namespace

TEST_SUITE("model/join") {
    TEST_CASE("a join ends once, when its last child has, with what they all wrote") {
        CHECK(model::explore("two", &two));
        CHECK(model::explore("three", &three<2>));
        CHECK(model::explore("three_on_three", &three<3>));
        CHECK(model::explore("nested", &nested));
    }

    TEST_CASE(
        "a join of which nothing is stolen, and nothing waits, has no step that others pay for") {
        CHECK(model::explore("alone", &alone));
    }

    TEST_CASE("a failing child stops the others, and all are waited for") {
        CHECK(model::explore("first_fails", &failing<true>));
        CHECK(model::explore("second_fails", &failing<false>));
        CHECK(model::explore("two_failures", &two_failures));
        CHECK(model::explore("failing_beside_an_endless_child",
                             &failing_beside_an_endless_child,
                             {.stale_reads = 1}));
    }

    TEST_CASE("a stop from elsewhere ends every child once, and then the join") {
        CHECK(model::explore("stopped", &stopped, {.stale_reads = 0}));
        CHECK(model::explore("stopped_and_failing", &stopped_and_failing, {.stale_reads = 0}));
    }
}
