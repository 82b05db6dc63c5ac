/// The broadcast and the watch of sync/: receivers read from the ring when they run, not when they
/// are woken.

#include <weft/sync/channels/broadcast.hpp>
#include <weft/sync/channels/watch.hpp>
#include <weft/tests/model/coroutines.hpp>

#include <doctest/doctest.h>

namespace model = weft::model;

namespace {

using broadcast = weft::broadcast<int>;
using reader = weft::broadcast_receiver<int>;

weft::task<> send_two(broadcast& to) {
    (void)to.send(1);
    (void)to.send(2);
    co_return;
}

/// Everything in order, and what is missing is counted.
weft::task<> read_to_the_end(reader& from, int sent) {
    int last = 0;
    int count = 0;
    while (auto const value = co_await from.recv()) {
        model::expect(*value > last, "order is lost");
        last = *value;
        ++count;
    }
    model::expect(last == sent, "the latest value is lost");
    model::expect(count + static_cast<int>(from.missed()) == sent, "a value is lost");
}

weft::task<> send_two_and_close(broadcast& to) {
    (void)to.send(1);
    (void)to.send(2);
    to.close();
    co_return;
}

template <std::size_t Capacity>
void one_reader() {
    broadcast news(Capacity);
    reader in = news.subscribe();
    model::crew workers;
    model::job one(workers, send_two_and_close(news));
    model::job other(workers, read_to_the_end(in, 2));
    workers.run();
    model::expect(other.has_value(), "a reader is lost");
}

void two_readers() {
    broadcast news(1);
    reader in = news.subscribe();
    reader fork = in.fork();
    model::crew workers;
    model::job one(workers, send_two_and_close(news));
    model::job two(workers, read_to_the_end(in, 2));
    model::job three(workers, read_to_the_end(fork, 2));
    workers.run();
    model::expect(two.has_value() && three.has_value(), "a reader is lost");
}

weft::task<> read_once(reader& from, model::plain<int>& got) {
    auto const value = co_await from.recv();
    got.write(value.value_or(-1));
}

/// A stopped wait has read nothing: the values are there for the next one.
void stopped_reader() {
    broadcast news(2);
    reader in = news.subscribe();
    model::plain<int> got{0};
    model::crew workers;
    model::job one(workers, send_two(news));
    model::job other(workers, read_once(in, got));
    auto stops = [&] { other.request_stop(); };
    model::thread stopper(stops);
    workers.run();
    model::expect(got.read() == (other.has_value() ? 1 : 0), "a stopped reader has gone on");
    auto const next = in.try_recv();
    model::expect(next.has_value() && *next == got.read() + 1, "a stop has cost a value");
}

weft::task<> set(weft::watch<int>& to, int value) {
    (void)to.send(value);
    co_return;
}

/// Sees values that grow, the last of them at the end.
weft::task<> follow(weft::watch<int>& state, reader& from) {
    int last = -1;
    while (last != 2) {
        auto const value = co_await from.recv();
        model::expect(value.has_value() && *value > last, "a watch goes back");
        last = *value;
    }
    model::expect(state.get() == 2, "the latest value is lost");
}

weft::task<> set_both(weft::watch<int>& to) {
    co_await set(to, 1);
    co_await model::reschedule{};
    co_await set(to, 2);
}

void watched() {
    weft::watch<int> state(0);
    reader in = state.subscribe();
    model::crew workers;
    model::job one(workers, set_both(state));
    model::job other(workers, follow(state, in));
    workers.run();
    model::expect(other.has_value(), "the reader of a watch is lost");
}

}  // namespace

TEST_SUITE("model/broadcast") {
    TEST_CASE("each reader gets what is sent in order, or is told that it missed it") {
        CHECK(model::explore("one_reader", &one_reader<1>, {.stale_reads = 0}));
        CHECK(model::explore("one_reader_of_two", &one_reader<2>, {.stale_reads = 0}));
        CHECK(model::explore("two_readers", &two_readers, {.stale_reads = 0}));
    }

    TEST_CASE("a reader that is stopped has read nothing") {
        CHECK(model::explore("stopped_reader", &stopped_reader, {.stale_reads = 0}));
    }

    TEST_CASE("who watches sees the latest value") {
        CHECK(model::explore("watched", &watched, {.stale_reads = 0}));
    }
}
