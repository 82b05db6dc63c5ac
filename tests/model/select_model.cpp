/// select over two channels; biased, because the other form rotates from one execution to the next.

#include <weft/runtime/sleep.hpp>
#include <weft/sync/channel.hpp>
#include <weft/sync/select.hpp>
#include <weft/tests/model/coroutines.hpp>

#include <doctest/doctest.h>

#include <chrono>

namespace model = weft::model;
using namespace std::chrono_literals;

namespace {

using channel = weft::channel<int>;

weft::task<> send(channel& to, int value) {
    co_await to.send(int{value});
}

weft::task<> receive(channel& from, int expected) {
    auto const value = co_await from.recv();
    model::expect(value == expected, "a value is lost");
}

/// Takes the one that comes first, and then the other.
weft::task<> receive_both(channel& a, channel& b) {
    auto won = co_await weft::select(weft::biased, a.recv(), b.recv());
    if (won.index() == 0) {
        model::expect(*won.get<0>() == 1, "a value is lost");
        co_await receive(b, 2);
    } else {
        model::expect(*won.get<1>() == 2, "a value is lost");
        co_await receive(a, 1);
    }
}

template <std::size_t Capacity>
void two_senders() {
    channel a(Capacity);
    channel b(Capacity);
    model::crew workers;
    model::job one(workers, receive_both(a, b));
    model::job two(workers, send(a, 1));
    model::job three(workers, send(b, 2));
    workers.run();
    model::expect(a.empty() && b.empty(), "a value is lost");
}

/// Sends to one or receives from the other, whichever comes.
weft::task<> exchange(channel& out, channel& in, int& outcome) {
    auto won = co_await weft::select(weft::biased, out.send(int{1}), in.recv());
    outcome = static_cast<int>(won.index());
}

/// Two selects that can only meet each other: one sends and the other receives.
void two_selects() {
    channel a(0);
    channel b(0);
    int one_outcome = -1;
    int other_outcome = -1;
    model::crew workers;
    model::job one(workers, exchange(a, b, one_outcome));
    model::job other(workers, exchange(b, a, other_outcome));
    workers.run();
    model::expect(one_outcome == 1 - other_outcome, "two selects did not meet");
}

weft::task<> select_once(channel& a, channel& b, int& outcome) {
    auto won = co_await weft::select(weft::biased, a.recv(), b.recv());
    outcome = static_cast<int>(won.index());
}

/// The stop meets a value on each side: one is taken, or none.
void stopped() {
    channel a(1);
    channel b(1);
    int outcome = -1;
    model::crew workers;
    model::job one(workers, select_once(a, b, outcome));
    model::job two(workers, send(a, 1));
    model::job three(workers, send(b, 2));
    auto stops = [&] { one.request_stop(); };
    model::thread stopper(stops);
    workers.run();
    model::expect(one.has_value() == (outcome != -1), "a stopped select has taken effect");
    model::expect(a.empty() == (outcome == 0) && b.empty() == (outcome == 1),
                  "a value is lost, or taken twice");
}

weft::task<> select_or_sleep(channel& a, int& outcome) {
    auto won = co_await weft::select(weft::biased, a.recv(), weft::sleep_for(1ms));
    outcome = static_cast<int>(won.index());
}

void with_a_timer() {
    channel a(1);
    int outcome = -1;
    model::crew workers;
    model::job one(workers, select_or_sleep(a, outcome));
    model::job two(workers, send(a, 1));
    workers.run();
    model::expect(a.empty() == (outcome == 0), "a value is lost");
}

weft::task<> close(channel& closed) {
    closed.close();
    co_return;
}

void closed() {
    channel a(1);
    channel b(1);
    int outcome = -1;
    model::crew workers;
    model::job one(workers, select_once(a, b, outcome));
    model::job two(workers, close(a));
    model::job three(workers, send(b, 2));
    workers.run();
    model::expect(one.has_value() && b.empty() == (outcome == 1), "a value is lost");
}

}  // namespace

TEST_SUITE("model/select") {
    TEST_CASE("exactly one branch takes effect, and no value is lost") {
        CHECK(model::explore("two_senders", &two_senders<1>, {.stale_reads = 0}));
        CHECK(model::explore("two_senders_rendezvous", &two_senders<0>, {.stale_reads = 0}));
        CHECK(model::explore("two_selects", &two_selects, {.stale_reads = 0}));
        CHECK(model::explore("closed", &closed, {.stale_reads = 0}));
    }

    TEST_CASE("a select that meets a stop or a timer takes one value or none") {
        CHECK(model::explore("stopped", &stopped, {.stale_reads = 0}));
        CHECK(model::explore("with_a_timer", &with_a_timer, {.stale_reads = 0}));
    }
}
