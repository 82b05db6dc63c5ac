/// Channels with one slot and with none, and the oneshot.

#include <weft/runtime/task/as_result.hpp>
#include <weft/sync/channels/channel.hpp>
#include <weft/sync/channels/oneshot.hpp>
#include <weft/tests/model/coroutines.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <utility>

namespace model = weft::model;

namespace {

/// What is sent: written by the sender before, and by whoever receives it, once.
struct item {
    model::plain<int> sent{0};
    model::plain<int> received{0};

    void take() {
        model::expect(sent.read() == 1, "a value comes without what was written before");
        model::expect(received.read() == 0, "a value is received twice");
        received.write(1);
    }
};

using channel = weft::channel<item*>;

weft::task<> send(channel& to, item& value) {
    value.sent.write(1);
    co_await to.send(&value);
}

weft::task<> receive(channel& from) {
    auto const value = co_await from.recv();
    if (value) {
        (*value)->take();
    }
}

template <std::size_t Count>
weft::task<> send_all(channel& to, item (&values)[Count]) {
    for (item& each : values) {
        co_await send(to, each);
    }
}

template <std::size_t Count>
weft::task<> receive_in_order(channel& from, item (&values)[Count]) {
    for (item& each : values) {
        auto const value = co_await from.recv();
        model::expect(value.has_value() && *value == &each, "order is lost");
        each.take();
    }
}

template <std::size_t Capacity>
void one_to_one() {
    item values[2];
    channel values_sent(Capacity);
    model::crew workers;
    model::job one(workers, send_all(values_sent, values));
    model::job other(workers, receive_in_order(values_sent, values));
    workers.run();
    model::expect(one.has_value() && other.has_value(), "a value is lost");
}

template <std::size_t Capacity>
void two_to_one() {
    item values[2];
    channel values_sent(Capacity);
    model::crew workers;
    model::job one(workers, send(values_sent, values[0]));
    model::job two(workers, send(values_sent, values[1]));
    model::job three(workers, receive(values_sent));
    model::job four(workers, receive(values_sent));
    workers.run();
    model::expect(values[0].received.read() + values[1].received.read() == 2, "a value is lost");
}

/// A receive makes room: the sender that waits goes on although nobody receives any more.
void room_for_a_sender() {
    item values[2];
    channel values_sent(1);
    model::crew workers;
    model::job one(workers, send_all(values_sent, values));
    model::job other(workers, receive(values_sent));
    workers.run();
    model::expect(one.has_value() && values_sent.size() == 1,
                  "a sender waits although there is room");
}

/// A stopped receive has taken nothing.
template <std::size_t Capacity>
void stopped_receiver() {
    item value;
    channel values_sent(Capacity);
    model::crew workers;
    model::job one(workers, send(values_sent, value));
    model::job other(workers, receive(values_sent));
    auto stops = [&] {
        other.request_stop();
        if (Capacity == 0) {
            one.request_stop();  // nobody may be there any more
        }
    };
    model::thread stopper(stops);
    workers.run();
    bool const received = value.received.read() == 1;
    model::expect(received == other.has_value(), "a stopped receive has taken a value");
    if (Capacity != 0) {
        model::expect(received == values_sent.empty(), "a value is lost");
    } else {
        model::expect(received == one.has_value(), "a value is lost");
    }
}

/// A stopped send leaves the value with the sender.
void stopped_sender() {
    item values[2];
    channel values_sent(1);
    values[0].sent.write(1);
    (void)values_sent.try_send(&values[0]);
    model::crew workers;
    model::job one(workers, send(values_sent, values[1]));
    model::job other(workers, receive(values_sent));
    auto stops = [&] { one.request_stop(); };
    model::thread stopper(stops);
    workers.run();
    model::expect(other.has_value() && values[0].received.read() == 1, "a value is lost");
    model::expect(values_sent.size() == (one.has_value() ? 1U : 0U),
                  "a stopped send has sent its value");
}

weft::task<> try_to_send(channel& to, item& value, model::plain<bool>& sent) {
    value.sent.write(1);
    auto const result = co_await (to.send(&value) | weft::as_result);
    sent.write(result.has_value());
}

weft::task<> close(channel& closed) {
    closed.close();
    co_return;
}

/// Whoever waits when the channel is closed goes on; what was sent before can be received.
template <std::size_t Capacity>
void closed_between() {
    item value;
    model::plain<bool> sent{false};
    channel values_sent(Capacity);
    model::crew workers(3);
    model::job one(workers, try_to_send(values_sent, value, sent));
    model::job two(workers, receive(values_sent));
    model::job three(workers, close(values_sent));
    workers.run();
    bool const left = values_sent.size() == 1;
    model::expect(sent.read() == (left || value.received.read() == 1), "a value is lost");
}

// --- halves ---------------------------------------------------------------------------

weft::task<> send_and_leave(weft::sender<item*> to, item& value) {
    value.sent.write(1);
    co_await to.send(&value);
}

weft::task<> receive_to_the_end(weft::receiver<item*> from, model::plain<int>& count) {
    while (auto const value = co_await from.recv()) {
        (*value)->take();
        count.write(count.read() + 1);
    }
}

/// The last sender to leave closes, and the last half to leave frees.
void halves() {
    item values[2];
    model::plain<int> count{0};
    {
        model::crew workers;
        auto [to, from] = weft::make_channel<item*>(1);
        weft::sender<item*> copy = to;
        model::job one(workers, send_and_leave(std::move(to), values[0]));
        model::job two(workers, receive_to_the_end(std::move(from), count));
        model::job three(workers, send_and_leave(std::move(copy), values[1]));
        workers.run();
    }
    model::expect(count.read() == 2, "a value is lost");
}

// --- the oneshot ------------------------------------------------------------------------

weft::task<> send_once(weft::oneshot_sender<item*> to, item& value, model::plain<bool>& sent) {
    value.sent.write(1);
    sent.write(to.send(&value).has_value());
    co_return;
}

weft::task<> receive_once(weft::oneshot_receiver<item*> from) {
    auto const value = co_await from.recv();
    if (value) {
        (*value)->take();
    }
}

/// Both ends free it, whoever is later.
void oneshot() {
    item value;
    model::plain<bool> sent{false};
    {
        model::crew workers;
        auto [to, from] = weft::make_oneshot<item*>();
        model::job one(workers, send_once(std::move(to), value, sent));
        model::job other(workers, receive_once(std::move(from)));
        workers.run();
    }
    model::expect(sent.read() && value.received.read() == 1, "a value is lost");
}

weft::task<> drop(weft::oneshot_sender<item*> to) {
    (void)to;
    co_return;
}

void sender_dropped() {
    model::crew workers;
    auto [to, from] = weft::make_oneshot<item*>();
    model::job one(workers, drop(std::move(to)));
    model::job other(workers, receive_once(std::move(from)));
    workers.run();
    model::expect(other.has_value(), "a receiver waits for nobody");
}

void stopped_oneshot() {
    item value;
    model::plain<bool> sent{false};
    {
        model::crew workers;
        auto [to, from] = weft::make_oneshot<item*>();
        model::job one(workers, send_once(std::move(to), value, sent));
        model::job other(workers, receive_once(std::move(from)));
        auto stops = [&] { other.request_stop(); };
        model::thread stopper(stops);
        workers.run();
        model::expect(other.has_value() == (value.received.read() == 1),
                      "a stopped receive has taken the value");
        model::expect(other.was_stopped() || sent.read(), "a value is lost");
    }
}

}  // namespace

TEST_SUITE("model/channel") {
    TEST_CASE("values arrive once, in order, with what was written before") {
        CHECK(model::explore("one_slot", &one_to_one<1>, {.stale_reads = 1}));
        CHECK(model::explore("rendezvous", &one_to_one<0>, {.stale_reads = 1}));
        CHECK(model::explore("two_to_one", &two_to_one<1>, {.stale_reads = 1}));
        CHECK(model::explore("two_to_one_rendezvous", &two_to_one<0>, {.stale_reads = 1}));
    }

    TEST_CASE("a sender that waits goes on as soon as there is room") {
        CHECK(model::explore("room_for_a_sender", &room_for_a_sender, {.stale_reads = 1}));
    }

    TEST_CASE("a stopped receive has taken nothing, and a stopped send has sent nothing") {
        CHECK(model::explore("stopped_receiver", &stopped_receiver<1>, {.stale_reads = 1}));
        CHECK(model::explore("stopped_rendezvous", &stopped_receiver<0>, {.stale_reads = 0}));
        CHECK(model::explore("stopped_sender", &stopped_sender, {.stale_reads = 1}));
    }

    TEST_CASE("whoever waits when a channel is closed goes on, and no value is lost") {
        CHECK(model::explore("closed", &closed_between<1>, {.stale_reads = 1}));
        CHECK(model::explore("closed_rendezvous", &closed_between<0>, {.stale_reads = 1}));
        CHECK(model::explore("halves", &halves, {.stale_reads = 1}));
    }

    TEST_CASE("a oneshot gives its value, or tells that there is none") {
        CHECK(model::explore("oneshot", &oneshot));
        CHECK(model::explore("sender_dropped", &sender_dropped));
        CHECK(model::explore("stopped_oneshot", &stopped_oneshot, {.stale_reads = 1}));
    }
}
