// Broadcasts, watches, oneshots, and channels in halves.

#include <weft/runtime/join/when_all.hpp>
#include <weft/sync/channels/oneshot.hpp>
#include <weft/tests/fuzz/world.hpp>

#include <utility>

namespace weft::fuzz {
namespace {

/// Values of broadcasts are letters without an account: they are copied, and may be overwritten.
constexpr unsigned no_channel = 100;

work publish_some(world& here, instance& self) {
    int const sender = here.letters.new_sender();
    for (std::uint32_t i = 0; i != self.what().b; ++i) {
        parcel next = here.make(here.letters.issue(sender, no_channel));
        if (self.what().a % 2 == 0) {
            (void)here.news.send(std::move(next));
        } else {
            (void)here.latest.send(std::move(next));
        }
        co_await yield();
    }
    co_return here.make(0);
}

work read_news(world& here, instance& self) {
    broadcast_receiver<parcel> source =
        self.what().a % 2 == 0 ? here.news.subscribe() : here.latest.subscribe();
    arrivals order(true);
    int count = 0;
    for (std::uint32_t i = 0; i != self.what().b; ++i) {
        std::optional<parcel> const next = co_await source.recv();
        if (!next.has_value()) {
            break;
        }
        if (!order.take(here.letters.sender_of(next->value), next->value) && next->value != 0) {
            here.book.fail(self.what(), "a broadcast value came out of order, or twice");
        }
        ++count;
    }
    co_return here.make(count);
}

task<> answer(world& here, oneshot_sender<parcel> to, clock::duration after) {
    co_await weft::sleep_for(after);
    result<void> const sent = to.send(here.make(42));
    if (!sent.has_value() && sent.error() != errc::closed) {
        here.book.fail("a oneshot refuses its value");
    }
}

task<int> await_answer(world& here, oneshot_receiver<parcel> from) {
    std::optional<parcel> const got = co_await from.recv();
    if (got.has_value() && got->value != 42) {
        here.book.fail("a oneshot gives another value");
    }
    co_return got.has_value() ? 1 : 0;
}

work ask_once(world& here, instance& self) {
    auto ends = make_oneshot<parcel>();
    task<> sending = answer(here, std::move(ends.first), here.span(self.what().a));
    task<int> receiving = await_answer(here, std::move(ends.second));
    auto const [nothing, got] = co_await when_all(std::move(sending), std::move(receiving));
    (void)nothing;
    if (got != 1) {
        here.book.fail(self.what(), "a oneshot has lost its value");
    }
    co_return here.make(got);
}

task<> pour(world& here, sender<parcel> into, std::uint32_t count) {
    for (std::uint32_t i = 0; i != count; ++i) {
        parcel next = here.make(static_cast<int>(i));
        co_await into.send(std::move(next));
    }
}

/// Until the senders have gone.
task<std::uint32_t> drain_pipe(world& here, receiver<parcel> from) {
    std::uint32_t count = 0;
    for (;;) {
        std::optional<parcel> const next = co_await from.recv();
        if (!next.has_value()) {
            break;
        }
        if (next->value != static_cast<int>(count++)) {
            here.book.fail("a pipe gives its values out of order");
        }
    }
    co_return count;
}

work pour_through(world& here, instance& self) {
    auto ends = make_channel<parcel>(self.what().a % 3);
    task<> pouring = pour(here, std::move(ends.first), self.what().b);
    auto draining = drain_pipe(here, std::move(ends.second));
    auto const [nothing, count] = co_await when_all(std::move(pouring), std::move(draining));
    (void)nothing;
    if (count != self.what().b) {
        here.book.fail(self.what(), "a pipe has lost values");
    }
    co_return here.make(static_cast<int>(count));
}

}  // namespace

work do_stream(world& here, instance& self) {
    switch (self.what().what) {
        case kind::publish:
            return publish_some(here, self);
        case kind::subscribe:
            return read_news(here, self);
        case kind::oneshot:
            return ask_once(here, self);
        default:
            return pour_through(here, self);
    }
}

}  // namespace weft::fuzz
