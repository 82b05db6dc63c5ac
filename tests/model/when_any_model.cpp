/// when_any and its kin: one child decides, the others go home, and all are waited for.

#include <weft/runtime/join/when_any.hpp>
#include <weft/runtime/time/sleep.hpp>
#include <weft/sync/locks/event.hpp>
#include <weft/tests/model/coroutines.hpp>

#include <doctest/doctest.h>

#include <chrono>

namespace model = weft::model;
using namespace std::chrono_literals;

namespace {

struct failure {};

weft::task<int> give(int value, model::plain<int>& frames) {
    model::frame_end const tells(frames);
    co_return value;
}

weft::task<int> fail(model::plain<int>& frames) {
    model::frame_end const tells(frames);
    throw failure{};
    co_return 0;
}

weft::task<int> sleep_long(model::plain<int>& frames) {
    model::frame_end const tells(frames);
    co_await weft::sleep_for(1h);
    co_return 3;
}

/// Every child has ended, and its frame is gone, when the parent goes on.
void expect_all_ended(model::plain<int> const& one, model::plain<int> const& other) {
    model::expect(one.read() == 1 && other.read() == 1, "a child has not ended once");
}

weft::task<> race_two(model::plain<int>& one, model::plain<int>& other) {
    auto const won = co_await weft::when_any(give(1, one), give(2, other));
    expect_all_ended(one, other);
    model::expect((won.index() == 0 ? std::get<0>(won) == 1 : std::get<1>(won) == 2),
                  "a value is lost");
}

weft::task<> race_sleeper(model::plain<int>& one, model::plain<int>& other) {
    auto const won = co_await weft::when_any(sleep_long(one), give(2, other));
    expect_all_ended(one, other);
    model::expect(won.index() == 0 || std::get<1>(won) == 2, "a value is lost");
}

weft::task<int> wait_for_ever(model::plain<int>& frames) {
    model::frame_end const tells(frames);
    weft::manual_reset_event never;
    co_await never.wait();
    co_return 3;
}

/// Nothing but the end of the race ends the loser.
weft::task<> race_endless(model::plain<int>& one, model::plain<int>& other) {
    auto const won = co_await weft::when_any(wait_for_ever(one), give(2, other));
    expect_all_ended(one, other);
    model::expect(won.index() == 1 && std::get<1>(won) == 2, "a value is lost");
}

weft::task<> race_failure(model::plain<int>& one, model::plain<int>& other) {
    bool caught = false;
    int value = 0;
    try {
        value = co_await weft::race(sleep_long(one), fail(other));
    } catch (failure const&) {
        caught = true;
    }
    expect_all_ended(one, other);
    model::expect(caught || value == 3, "an outcome is lost");
}

using body = weft::task<> (*)(model::plain<int>& one, model::plain<int>& other);

template <body Body, unsigned Workers = 2>
void run() {
    model::plain<int> one{0};
    model::plain<int> other{0};
    model::crew workers(Workers);
    model::job parent(workers, Body(one, other));
    workers.run();
    model::expect(parent.has_value(), "a race does not end");
}

template <body Body>
void stopped() {
    model::plain<int> one{0};
    model::plain<int> other{0};
    {
        model::crew workers;
        model::job parent(workers, Body(one, other));
        auto stops = [&] { parent.request_stop(); };
        model::thread stopper(stops);
        workers.run();
        model::expect(parent.has_value() || parent.was_stopped(), "a stopped race fails");
    }
    model::expect(model::is_gone(one) && model::is_gone(other), "a child has not ended");
}

}  // namespace

TEST_SUITE("model/when_any") {
    TEST_CASE("the first child decides, and the parent goes on when all have ended") {
        CHECK(model::explore("race_two", &run<race_two>));
        CHECK(model::explore("race_two_on_three", &run<race_two, 3>));
        CHECK(model::explore("race_sleeper", &run<race_sleeper>, {.stale_reads = 1}));
        CHECK(model::explore("race_endless", &run<race_endless>, {.stale_reads = 1}));
        CHECK(model::explore("race_failure", &run<race_failure>, {.stale_reads = 1}));
    }

    TEST_CASE("a stop from elsewhere ends every child once, and then the race") {
        CHECK(model::explore("stopped", &stopped<race_two>, {.stale_reads = 0}));
        CHECK(model::explore("stopped_sleeper", &stopped<race_sleeper>, {.stale_reads = 0}));
    }
}
