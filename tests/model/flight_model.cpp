/// What callers of one run of work share, and permits that pass from one to the next.

#include <weft/runtime/resilience/bulkhead.hpp>
#include <weft/runtime/resilience/single_flight.hpp>
#include <weft/runtime/scope/cancel_after.hpp>
#include <weft/runtime/scope/scope.hpp>
#include <weft/runtime/time/sleep.hpp>
#include <weft/sync/locks/event.hpp>
#include <weft/tests/model/coroutines.hpp>

#include <doctest/doctest.h>

#include <chrono>

namespace model = weft::model;
using namespace std::chrono_literals;

namespace {

using flights = weft::single_flight<int, int>;

/// Work runs under the root of the scheduler, which is joined when the callers have ended.
class airport {
public:
    explicit airport(unsigned worker_count = 2)
        : workers(worker_count)
        , root_(&workers.sched(), weft::detail::on_error::keep_going) {
        workers.sched().set_root(root_);
    }

    void run() {
        workers.run();
        root_.join_blocking();
    }

    model::crew workers;

private:
    weft::detail::task_group root_;
};

struct fly {
    model::plain<int>* flown;

    weft::task<int> operator()() const { return work(*flown); }

    static weft::task<int> work(model::plain<int>& flown) {
        flown.write(flown.read() + 1);
        co_return flown.read();
    }
};

struct fly_far {
    model::plain<int>* frames;

    weft::task<int> operator()() const { return work(*frames); }

    static weft::task<int> work(model::plain<int>& frames) {
        model::frame_end const tells(frames);
        co_await weft::sleep_for(1h);
        co_return 1;
    }
};

weft::task<> call(flights& shared, model::plain<int>& flown, model::plain<int>& sum) {
    sum.write(co_await shared.run(1, fly{&flown}));
}

/// Both fly together, or one after the other.
void two_callers() {
    model::plain<int> flown{0};
    model::plain<int> sums[2];
    flights shared;
    {
        airport field;
        model::job one(field.workers, call(shared, flown, sums[0]));
        model::job other(field.workers, call(shared, flown, sums[1]));
        field.run();
        model::expect(one.has_value() && other.has_value(), "a caller does not end");
    }
    model::expect(static_cast<int>(shared.counters().flights) == flown.read(), "work is lost");
    model::expect(sums[0].read() >= 1 && sums[1].read() >= 1, "a value is lost");
}

weft::task<> call_far(flights& shared, model::plain<int>& frames) {
    (void)co_await shared.run(1, fly_far{&frames});
}

/// The stop of the only caller stops the work, however far that is; the work ends first.
void stopped_caller() {
    model::plain<int> frames{0};
    flights shared;
    {
        airport field(1);
        model::job caller(field.workers, call_far(shared, frames));
        auto stops = [&] { caller.request_stop(); };
        model::thread stopper(stops);
        field.run();
        model::expect(caller.was_stopped() || caller.has_value(), "a stopped call fails");
    }
    model::expect(frames.read() == static_cast<int>(shared.counters().flights),
                  "a frame is not destroyed once");
    model::expect(shared.counters().in_flight == 0, "a flight is listed after its end");
}

weft::task<> call_short(flights& shared, model::plain<int>& flown) {
    (void)co_await shared.run(1, fly{&flown});
}

/// The stop of one of two callers: the other has its value.
void one_of_two_stopped() {
    model::plain<int> flown{0};
    model::plain<int> sum{0};
    flights shared;
    {
        airport field(1);
        model::job stays(field.workers, call(shared, flown, sum));
        model::job leaves(field.workers, call_short(shared, flown));
        auto stops = [&] { leaves.request_stop(); };
        model::thread stopper(stops);
        field.run();
        model::expect(stays.has_value() && sum.read() >= 1, "a stop reaches another caller");
    }
    model::expect(shared.counters().in_flight == 0, "a flight is listed after its end");
}

struct fly_for_ever {
    weft::manual_reset_event* never;
    model::plain<int>* frames;

    weft::task<int> operator()() const { return work(*never, *frames); }

    static weft::task<int> work(weft::manual_reset_event& never, model::plain<int>& frames) {
        model::frame_end const tells(frames);
        co_await never.wait();
        co_return 1;
    }
};

weft::task<> call_in_vain(flights& shared,
                          weft::manual_reset_event& never,
                          model::plain<int>& frames) {
    (void)co_await shared.run(1, fly_for_ever{&never, &frames});
}

/// Nothing but the stop of its only caller ends this work, whenever that comes.
void stopped_for_good() {
    model::plain<int> frames{0};
    weft::manual_reset_event never;
    flights shared;
    {
        airport field(1);
        model::job caller(field.workers, call_in_vain(shared, never, frames));
        auto stops = [&] { caller.request_stop(); };
        model::thread stopper(stops);
        field.run();
        model::expect(caller.was_stopped(), "a value comes from nowhere");
    }
    model::expect(frames.read() == static_cast<int>(shared.counters().flights),
                  "a frame is not destroyed once");
}

// --- stops that come by themselves ---------------------------------------------------------

weft::task<> stop_later(model::plain<int>& frames) {
    model::frame_end const tells(frames);
    weft::stop_source source;
    {
        weft::cancel_after const later(1ms, source);
        co_await model::reschedule{};
        co_await model::reschedule{};
    }
    bool const asked = source.stop_requested();
    co_await model::reschedule{};
    model::expect(source.stop_requested() == asked, "a stop comes that was called off");
}

/// The time comes while it is waited for, is called off, or has been. Both sides refer to a block
/// that the later one frees.
template <unsigned Workers>
void called_off() {
    model::plain<int> frames{0};
    model::crew workers(Workers);
    workers.keep_open();
    auto works = [&] { workers.run(); };
    model::thread worker(works);
    {
        weft::detail::task_group root(&workers.sched(), weft::detail::on_error::keep_going);
        workers.sched().set_root(root);
        root.start_plain(stop_later(frames));
        root.join_blocking();
    }
    model::expect(frames.read() == 1, "a frame is not destroyed once");
    workers.close();
}

// --- permits ------------------------------------------------------------------------------

weft::task<> enter(weft::detail::permit_queue& permits, model::plain<int>& inside) {
    bool const granted = co_await permits.acquire();
    if (granted) {
        weft::detail::permit_holder const permit(permits);
        inside.write(inside.read() + 1);
    }
}

void one_permit() {
    model::plain<int> inside{0};
    weft::detail::permit_queue permits(1, 1);
    model::crew workers;
    model::job one(workers, enter(permits, inside));
    model::job other(workers, enter(permits, inside));
    workers.run();
    model::expect(inside.read() == 2 && permits.counters().taken == 0, "a permit is lost");
}

/// No place to wait: some are refused.
void no_queue() {
    model::plain<int> inside{0};
    weft::detail::permit_queue permits(1, 0);
    model::crew workers;
    model::job one(workers, enter(permits, inside));
    model::job other(workers, enter(permits, inside));
    workers.run();
    auto const counted = permits.counters();
    model::expect(inside.read() + static_cast<int>(counted.refused) == 2 && counted.taken == 0,
                  "a permit is lost");
}

/// The stop meets the wait, or the permit that is passed on.
void stopped_waiter() {
    model::plain<int> inside{0};
    weft::detail::permit_queue permits(1, 2);
    {
        model::crew workers;
        model::job one(workers, enter(permits, inside));
        model::job other(workers, enter(permits, inside));
        auto stops = [&] { other.request_stop(); };
        model::thread stopper(stops);
        workers.run();
        model::expect(one.has_value(), "a waiter is lost");
    }
    auto const counted = permits.counters();
    model::expect(counted.taken == 0 && counted.waiting == 0, "a permit is lost");
}

weft::task<> hold_permit(weft::detail::permit_queue& permits, model::gate& end) {
    bool const granted = co_await permits.acquire();
    if (granted) {
        weft::detail::permit_holder const permit(permits);
        co_await end;
    }
}

weft::task<> enter_and_open(weft::detail::permit_queue& permits,
                            model::gate& end,
                            model::plain<int>& inside) {
    model::gate_opener const opens(end);
    co_await enter(permits, inside);
}

/// The permit is held until the waiter has gone: only a stop makes it go.
void stopped_behind_a_holder() {
    model::gate end;
    model::plain<int> inside{0};
    weft::detail::permit_queue permits(1, 1);
    {
        model::crew workers(1);
        model::job holder(workers, hold_permit(permits, end));
        model::job waits(workers, enter_and_open(permits, end, inside));
        auto stops = [&] { waits.request_stop(); };
        model::thread stopper(stops);
        workers.run();
        model::expect(holder.has_value() && waits.was_stopped(), "a permit is given to two");
    }
}

}  // namespace

TEST_SUITE("model/flight") {
    TEST_CASE("callers of one flight all get its value, and the last to leave frees it") {
        CHECK(model::explore("two_callers", &two_callers, {.stale_reads = 1}));
    }

    TEST_CASE("a stop ends its caller, and the work with the last of them") {
        CHECK(model::explore("stopped_caller", &stopped_caller, {.stale_reads = 0}));
        CHECK(model::explore("stopped_for_good", &stopped_for_good, {.stale_reads = 0}));
        CHECK(model::explore("one_of_two_stopped", &one_of_two_stopped, {.stale_reads = 0}));
    }

    TEST_CASE("a stop at a given time comes once, or not any more when it was called off") {
        CHECK(model::explore("called_off", &called_off<1>, {.stale_reads = 1}));
        CHECK(model::explore("called_off_on_two", &called_off<2>, {.stale_reads = 0}));
    }

    TEST_CASE("a permit passes to the next in the queue, and no stop takes it along") {
        CHECK(model::explore("one_permit", &one_permit));
        CHECK(model::explore("no_queue", &no_queue));
        CHECK(model::explore("stopped_waiter", &stopped_waiter, {.stale_reads = 1}));
        CHECK(model::explore(
            "stopped_behind_a_holder", &stopped_behind_a_holder, {.stale_reads = 0}));
    }
}
