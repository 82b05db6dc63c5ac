/// What a child and the handle to it share.

#include <weft/runtime/scope/join_handle.hpp>
#include <weft/runtime/scope/scope.hpp>
#include <weft/runtime/time/sleep.hpp>
#include <weft/tests/model/coroutines.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <memory>

namespace model = weft::model;
using namespace std::chrono_literals;

namespace {

struct failure {};

weft::task<> write(model::plain<int>& target) {
    target.write(target.read() + 1);
    co_return;
}

weft::task<int> give(model::plain<int>& target) {
    target.write(target.read() + 1);
    co_return target.read();
}

weft::task<int> fail() {
    throw failure{};
    co_return 0;
}

weft::task<> sleep_long(model::plain<int>& frames) {
    model::frame_end const tells(frames);
    co_await weft::sleep_for(1h);
}

weft::task<> in_scope(weft::task<> (*body)(weft::nursery&)) {
    co_await weft::scope(body);
}

/// One job that runs `body` in a scope, on two workers.
template <weft::task<> (*Body)(weft::nursery&)>
void run() {
    model::crew workers;
    model::job parent(workers, in_scope(Body));
    workers.run();
    model::expect(parent.has_value(), "a scope does not end");
}

// --- joins -----------------------------------------------------------------------------

weft::task<> join_value(weft::nursery& children) {
    model::plain<int> value{0};
    auto child = children.spawn(give(value));
    int const given = co_await child;
    model::expect(given == 1 && value.read() == 1, "a value is lost");
}

weft::task<> join_void(weft::nursery& children) {
    model::plain<int> value{0};
    co_await children.spawn(write(value));
    model::expect(value.read() == 1, "a child has not ended");
}

weft::task<> join_error(weft::nursery& children) {
    bool caught = false;
    auto body = [&caught](weft::nursery& failing) -> weft::task<> {
        try {
            (void)co_await failing.spawn(fail());
        } catch (failure const&) {
            caught = true;
        }
    };
    co_await weft::supervisor_scope(body);
    model::expect(caught, "an error is lost");
    (void)children;
}

weft::task<> ask_done(weft::nursery& children) {
    auto value = std::make_unique<model::plain<int>>(0);
    auto child = children.spawn(give(*value));
    if (child.is_done()) {
        model::expect(value->read() == 1, "a child has not ended that is done");
        value.reset();
    }
    (void)co_await child;
}

// --- drops and requests ------------------------------------------------------------------

weft::task<> drop_at_any_time(weft::nursery& children) {
    auto value = std::make_unique<model::plain<int>>(0);
    auto body = [&value](weft::nursery& inner) -> weft::task<> {
        auto const child = inner.spawn(give(*value));
        model::step();
        co_return;
    };
    co_await weft::scope(body);
    model::expect(value->read() == 1, "a child did not run once");
    (void)children;
}

weft::task<> stop_child(weft::nursery& children) {
    model::plain<int> frames{0};
    auto child = children.spawn(sleep_long(frames));
    child.request_stop();
    auto const result = co_await (child.join() | weft::as_result);
    model::expect(frames.read() == 1, "a child has not ended");
    (void)result;
}

/// The request meets the end of a child that nobody joins.
weft::task<> stop_ending_child(weft::nursery& children) {
    auto value = std::make_unique<model::plain<int>>(0);
    auto body = [&value](weft::nursery& inner) -> weft::task<> {
        auto child = inner.spawn(write(*value));
        co_await model::reschedule{};
        child.request_stop();
    };
    co_await weft::scope(body);
    model::expect(value->read() == 1, "a child did not run once");
    (void)children;
}

/// Two threads request at the same time, while the child ends.
weft::task<> stop_twice(weft::nursery& children) {
    model::plain<int> value{0};
    auto child = children.spawn(give(value));
    auto stops = [&] { child.request_stop(); };
    model::thread stopper(stops);
    child.request_stop();
    (void)co_await (child.join() | weft::as_result);
    stopper.join();
}

// --- the stop of whoever waits -------------------------------------------------------------

weft::task<> wait_for(weft::join_handle<int>& child, model::plain<int>& frames) {
    model::frame_end const tells(frames);
    (void)co_await child;
}

weft::task<> hold(weft::task<int> work, weft::join_handle<int>*& place, model::plain<int>& frames) {
    auto body = [&](weft::nursery& children) -> weft::task<> {
        auto child = children.spawn(std::move(work));
        place = &child;
        co_await wait_for(child, frames);
    };
    co_await weft::scope(body);
}

/// The stop of the waiter meets the end of the child, which has its own.
void stopped_waiter() {
    model::plain<int> value{0};
    model::plain<int> frames{0};
    {
        weft::join_handle<int>* place = nullptr;
        model::crew workers;
        model::job parent(workers, hold(give(value), place, frames));
        auto stops = [&] { parent.request_stop(); };
        model::thread stopper(stops);
        workers.run();
        model::expect(parent.has_value() || parent.was_stopped(), "a stopped wait fails");
    }
    model::expect(model::is_gone(frames) && value.read() <= 1, "a frame is not destroyed");
}

}  // namespace

TEST_SUITE("model/join_handle") {
    TEST_CASE("a join goes on once, when the child has ended, with its outcome") {
        CHECK(model::explore("join_value", &run<join_value>));
        CHECK(model::explore("join_void", &run<join_void>));
        CHECK(model::explore("join_error", &run<join_error>, {.stale_reads = 1}));
        CHECK(model::explore("ask_done", &run<ask_done>));
    }

    TEST_CASE("a handle may be dropped, or ask for a stop, while its child ends") {
        CHECK(model::explore("drop_at_any_time", &run<drop_at_any_time>));
        CHECK(model::explore("stop_child", &run<stop_child>, {.stale_reads = 1}));
        CHECK(model::explore("stop_ending_child", &run<stop_ending_child>, {.stale_reads = 1}));
        CHECK(model::explore("stop_twice", &run<stop_twice>, {.stale_reads = 1}));
    }

    TEST_CASE("a waiter that is stopped while the child ends goes on, or unwinds, once") {
        CHECK(model::explore("stopped_waiter", &stopped_waiter, {.stale_reads = 0}));
    }
}
