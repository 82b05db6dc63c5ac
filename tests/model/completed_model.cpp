/// as_completed: children that end, and the one coroutine that takes their outcomes.

#include <weft/runtime/join/as_completed.hpp>
#include <weft/runtime/time/sleep.hpp>
#include <weft/sync/locks/event.hpp>
#include <weft/tests/model/coroutines.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <vector>

namespace model = weft::model;
using namespace std::chrono_literals;

namespace {

weft::task<int> give(model::plain<int>& source, int value) {
    source.write(value);
    co_return source.read();
}

weft::task<int> sleep_long(model::plain<int>& frames) {
    model::frame_end const tells(frames);
    co_await weft::sleep_for(1h);
    co_return 2;
}

weft::task<int> add_up(weft::completions<int>& results) {
    int total = 0;
    while (auto each = co_await results.next()) {
        total += each->has_value() ? each->value() : 0;
    }
    co_return total;
}

weft::task<> take_two(model::plain<int>& sum) {
    model::plain<int> sources[2];
    std::vector<weft::task<int>> children;
    children.push_back(give(sources[0], 1));
    children.push_back(give(sources[1], 2));
    sum.write(co_await weft::as_completed(std::move(children), &add_up));
}

template <unsigned Workers>
void two() {
    model::plain<int> sum{0};
    model::crew workers(Workers);
    model::job parent(workers, take_two(sum));
    workers.run();
    model::expect(parent.has_value() && sum.read() == 3, "an outcome is lost");
}

weft::task<int> take_first(weft::completions<int>& results) {
    auto const first = co_await results.next();
    co_return first->value();
}

weft::task<> take_one_of_two(model::plain<int>& value, model::plain<int>& frames) {
    model::plain<int> source{0};
    std::vector<weft::task<int>> children;
    children.push_back(give(source, 1));
    children.push_back(sleep_long(frames));
    value.write(co_await weft::as_completed(std::move(children), &take_first));
}

/// The body's end stops the other child, if that is not what ended first.
void first_of_two() {
    model::plain<int> value{0};
    model::plain<int> frames{0};
    model::crew workers;
    model::job parent(workers, take_one_of_two(value, frames));
    workers.run();
    model::expect(parent.has_value() && value.read() != 0, "an outcome is lost");
    model::expect(frames.read() == 1, "a frame is not destroyed once");
}

weft::task<> take_sleeper(model::plain<int>& frames) {
    std::vector<weft::task<int>> children;
    children.push_back(sleep_long(frames));
    (void)co_await weft::as_completed(std::move(children), &add_up);
}

/// The stop meets the taker in its wait, or on its way there.
void stopped() {
    model::plain<int> frames{0};
    {
        model::crew workers;
        model::job parent(workers, take_sleeper(frames));
        auto stops = [&] { parent.request_stop(); };
        model::thread stopper(stops);
        workers.run();
        model::expect(parent.was_stopped() || parent.has_value(), "a stopped join fails");
    }
    model::expect(model::is_gone(frames), "a frame is not destroyed");
}

weft::task<int> hold(model::gate& end) {
    co_await end;
    co_return 1;
}

weft::task<> take_what_waits(model::gate& end) {
    auto body = [&end](weft::completions<int>& results) -> weft::task<int> {
        model::gate_opener const opens(end);
        auto const first = co_await results.next();
        co_return first->value();
    };
    std::vector<weft::task<int>> children;
    children.push_back(hold(end));
    (void)co_await weft::as_completed(std::move(children), body);
}

/// The only child ends when the taker has: only a stop ends that.
void stopped_taker() {
    model::gate end;
    model::crew workers(1);
    model::job parent(workers, take_what_waits(end));
    auto stops = [&] { parent.request_stop(); };
    model::thread stopper(stops);
    workers.run();
    model::expect(parent.was_stopped(), "a value comes from nowhere");
}

// --- a stop that a foreign thread requests through the completions --------------------------

/// What the body hands to a foreign thread, which is not through with the stop when the join is.
struct passage {
    weft::completions<int>* results = nullptr;
    unsigned thread = 0;

    static void use(void* argument) noexcept {
        (void)static_cast<passage*>(argument)->results->request_stop();
    }
};

weft::task<int> wait_in_frame(weft::manual_reset_event& signal, model::plain<int>& frames) {
    model::frame_end const tells(frames);
    co_await signal.wait();
    co_return 1;
}

weft::task<> hand_completions_over(weft::manual_reset_event& nobody_sets,
                                   model::plain<int>& frames,
                                   passage& hand) {
    auto body = [&hand](weft::completions<int>& results) -> weft::task<int> {
        hand.results = &results;
        hand.thread = model::thread::start(&passage::use, &hand);
        int ended = 0;
        while (auto each = co_await results.next()) {
            ++ended;
        }
        co_return ended;
    };
    std::vector<weft::task<int>> children;
    children.push_back(wait_in_frame(nobody_sets, frames));
    (void)co_await weft::as_completed(std::move(children), body);
}

/// Nothing but the stop ends the child, which withdraws its callback itself: it does not wait for
/// the thread that asks.
void stopped_from_elsewhere() {
    weft::manual_reset_event nobody_sets;
    model::plain<int> frames{0};
    passage hand;
    model::crew workers(1);
    model::job parent(workers, hand_completions_over(nobody_sets, frames, hand));
    workers.run();
    model::thread::join(hand.thread);
    model::expect(parent.has_value() && frames.read() == 1, "a stopped child is lost");
}

}  // namespace

TEST_SUITE("model/completed") {
    TEST_CASE("every outcome is taken once, whoever ends first") {
        CHECK(model::explore("two", &two<2>, {.stale_reads = 1}));
        CHECK(model::explore("two_on_three", &two<3>, {.stale_reads = 0}));
        CHECK(model::explore("first_of_two", &first_of_two, {.stale_reads = 0}));
    }

    TEST_CASE("a stop ends the taker and every child") {
        CHECK(model::explore("stopped", &stopped, {.stale_reads = 0}));
        CHECK(model::explore("stopped_taker", &stopped_taker, {.stale_reads = 0}));
    }

    TEST_CASE("a thread that asks for the stop is not overtaken by the end of the join") {
        CHECK(
            model::explore("stopped_from_elsewhere", &stopped_from_elsewhere, {.stale_reads = 0}));
    }
}
