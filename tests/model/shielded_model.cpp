/// Work that a stop reaches late: shields, and calls on threads of their own.

#include <weft/runtime/pool/blocking.hpp>
#include <weft/runtime/sched/thread_event.hpp>
#include <weft/runtime/scope/shielded.hpp>
#include <weft/runtime/time/sleep.hpp>
#include <weft/tests/model/coroutines.hpp>

#include <doctest/doctest.h>

#include <chrono>

namespace model = weft::model;
using namespace std::chrono_literals;

namespace {

weft::task<> work(model::plain<int>& done) {
    co_await model::reschedule{};
    done.write(done.read() + 1);
}

weft::task<> shield_work(model::plain<int>& done) {
    co_await weft::shielded(1h, work(done));
    done.write(done.read() + 1);
}

/// The stop travels to the shield's home while the body ends, on this worker or on another one.
template <unsigned Workers>
void stop_against_end() {
    model::plain<int> done{0};
    {
        model::crew workers(Workers);
        model::job parent(workers, shield_work(done));
        auto stops = [&] { parent.request_stop(); };
        model::thread stopper(stops);
        workers.run();
        model::expect(parent.has_value() || parent.was_stopped(), "a shield does not end");
    }
    model::expect(done.read() >= 1, "a stop has cut work short");
}

weft::task<> sleep_in_frame(model::plain<int>& frames, std::chrono::milliseconds length) {
    model::frame_end const tells(frames);
    co_await weft::sleep_for(length);
}

weft::task<> shield_sleep(model::plain<int>& frames, std::chrono::milliseconds length) {
    co_await weft::shielded(1ms, sleep_in_frame(frames, length));
}

/// The limit, which a stop begins, ends the body, or its own end does at the same time.
template <int Milliseconds>
void limit() {
    model::plain<int> frames{0};
    {
        model::crew workers;
        model::job parent(workers, shield_sleep(frames, std::chrono::milliseconds(Milliseconds)));
        auto stops = [&] { parent.request_stop(); };
        model::thread stopper(stops);
        workers.run();
        model::expect(parent.has_value() || parent.was_stopped(), "a shield does not end");
    }
    model::expect(frames.read() == 1, "a frame is not destroyed once");
}

// --- calls ----------------------------------------------------------------------------------

weft::task<> make_call(weft::blocking_pool& pool, model::plain<int>& called) {
    auto call = [&called] { called.write(called.read() + 1); };
    co_await weft::blocking(pool, call);
    called.write(called.read() + 1);
}

void one_call() {
    model::plain<int> called{0};
    weft::blocking_pool pool({.threads_max = 1});
    model::crew workers(1);
    model::job caller(workers, make_call(pool, called));
    workers.run();
    model::expect(caller.has_value() && called.read() == 2, "a call is lost");
}

/// One thread, and a second call that may come when its patience is over.
void two_calls() {
    model::plain<int> one{0};
    model::plain<int> other{0};
    weft::blocking_pool pool({.threads_max = 1, .idle = 1ms});
    model::crew workers(1);
    model::job caller(workers, make_call(pool, one));
    model::job second(workers, make_call(pool, other));
    workers.run();
    model::expect(one.read() == 2 && other.read() == 2, "a call is lost");
}

/// The stop finds the call before the queue, in it, or begun.
void stopped_call() {
    model::plain<int> called{0};
    {
        weft::blocking_pool pool({.threads_max = 1});
        model::crew workers(1);
        model::job caller(workers, make_call(pool, called));
        auto stops = [&] { caller.request_stop(); };
        model::thread stopper(stops);
        workers.run();
        model::expect(caller.has_value() || caller.was_stopped(), "a call fails");
    }
    model::expect(called.read() <= 2, "a call is made twice");
}

weft::task<> hold_thread(weft::blocking_pool& pool, weft::detail::thread_event& released) {
    auto call = [&released] { released.wait(); };
    co_await weft::blocking(pool, call);
}

struct releaser {
    weft::detail::thread_event* released;

    ~releaser() { released->signal(); }
};

weft::task<> call_and_release(weft::blocking_pool& pool,
                              weft::detail::thread_event& released,
                              model::plain<int>& called) {
    releaser const releases{&released};
    co_await make_call(pool, called);
}

/// The only thread is held until the stopped call has given up.
void stopped_behind_a_call() {
    model::plain<int> called{0};
    weft::detail::thread_event released;
    {
        weft::blocking_pool pool({.threads_max = 1});
        model::crew workers(1);
        model::job holder(workers, hold_thread(pool, released));
        model::job caller(workers, call_and_release(pool, released, called));
        auto stops = [&] { caller.request_stop(); };
        model::thread stopper(stops);
        workers.run();
        model::expect(holder.has_value(), "a call is lost");
    }
}

}  // namespace

TEST_SUITE("model/shielded") {
    TEST_CASE("a shield ends once, when neither body nor request nor timer refers to it") {
        CHECK(model::explore("stop_against_end", &stop_against_end<1>, {.stale_reads = 1}));
        CHECK(model::explore("stop_against_end_on_two", &stop_against_end<2>, {.stale_reads = 0}));
        CHECK(model::explore("limit_ends_first", &limit<2>, {.stale_reads = 0}));
        CHECK(model::explore("limit_against_end", &limit<1>, {.stale_reads = 0}));
    }

    TEST_CASE("a call is made once, on a thread of the pool, or stopped before") {
        CHECK(model::explore("one_call", &one_call, {.stale_reads = 1}));
        CHECK(model::explore("two_calls", &two_calls, {.stale_reads = 0}));
        CHECK(model::explore("stopped_call", &stopped_call, {.stale_reads = 0}));
        CHECK(model::explore("stopped_behind_a_call", &stopped_behind_a_call, {.stale_reads = 0}));
    }
}
