#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/scope/scope.hpp>
#include <weft/sync/channels/broadcast.hpp>
#include <weft/sync/channels/channel.hpp>
#include <weft/sync/channels/oneshot.hpp>
#include <weft/sync/channels/priority_channel.hpp>
#include <weft/sync/channels/watch.hpp>
#include <weft/sync/select.hpp>
#include <weft/tests/support/counted.hpp>
#include <weft/tests/support/let_others_run.hpp>
#include <weft/tests/support/parcel.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

// Values whose move throws, through every kind of channel and in every form: whoever was moving one
// has the exception, and everything else is as it was.

namespace {

using weft::channel;
using weft::full_policy;
using weft::nursery;
using weft::task;
using weft::test::counted;
using weft::test::let_others_run;
using weft::test::object_count;

/// What a move throws.
struct burnt {};

/// Can be moved only. A move counts the fuse down, unless it is at 0, and throws if it gets there.
class fragile {
public:
    fragile(object_count& objects, int& fuse, int initial) noexcept
        : content_(objects, initial)
        , fuse_(&fuse) {}

    fragile(fragile&& other)
        : content_((other.burn(), std::move(other.content_)))
        , fuse_(other.fuse_) {}

    [[nodiscard]] int value() const noexcept { return content_.value; }

private:
    void burn() const {
        if (*fuse_ != 0 && --*fuse_ == 0) {
            throw burnt();
        }
    }

    counted content_;
    int* fuse_;
};

/// Its copies throw as the moves of the other one do.
struct fragile_copy {
    explicit fragile_copy(int& burns) noexcept : fuse(&burns) {}

    fragile_copy(fragile_copy const& other) : fuse(other.fuse) {
        if (*fuse != 0 && --*fuse == 0) {
            throw burnt();
        }
    }

    fragile_copy(fragile_copy&&) noexcept = default;

    int* fuse;
};

/// Like fragile, and asks its channel something when it is destroyed.
class asking {
public:
    asking(channel<asking>& way, int& fuse) noexcept : way_(&way), fuse_(&fuse) {}

    asking(asking&& other) : way_(other.way_), fuse_(other.fuse_) {
        if (*fuse_ != 0 && --*fuse_ == 0) {
            throw burnt();
        }
        other.way_ = nullptr;
    }

    ~asking() {
        if (way_ != nullptr) {
            (void)way_->size();
        }
    }

private:
    channel<asking>* way_;
    int* fuse_;
};

struct bounded_kind : channel<fragile> {
    bounded_kind() : channel(8) {}
};

using unbounded_kind = weft::unbounded_channel<fragile>;

struct priority_kind : weft::priority_channel<fragile, weft::test::all_equal> {
    priority_kind() : priority_channel(8) {}
};

/// Whether awaiting what `make()` gives throws.
template <class Make>
task<bool> throws(Make make) {
    bool thrown = false;
    try {
        (void)co_await make();
    } catch (burnt const&) {
        thrown = true;
    }
    co_return thrown;
}

template <class Channel>
task<bool> send_in_select_throws(Channel& to, fragile& value, channel<int>& quiet) {
    bool thrown = false;
    try {
        (void)co_await weft::select(quiet.recv(), to.send(std::move(value)));
    } catch (burnt const&) {
        thrown = true;
    }
    co_return thrown;
}

template <class Channel>
task<bool> recv_in_select_throws(Channel& from, channel<int>& quiet) {
    bool thrown = false;
    try {
        (void)co_await weft::select(quiet.recv(), from.recv());
    } catch (burnt const&) {
        thrown = true;
    }
    co_return thrown;
}

std::vector<fragile> row_of(object_count& objects, int& fuse, int count) {
    std::vector<fragile> row;
    row.reserve(static_cast<std::size_t>(count));
    for (int i = 1; i <= count; ++i) {
        row.emplace_back(objects, fuse, i);
    }
    return row;
}

std::vector<int> values_of(std::vector<fragile> const& row) {
    std::vector<int> values;
    values.reserve(row.size());
    for (fragile const& each : row) {
        values.push_back(each.value());
    }
    return values;
}

}  // namespace

TEST_SUITE("sync/channel_throwing") {
    TEST_CASE_TEMPLATE("a value whose move into a channel throws stays with its sender",
                       Channel,
                       bounded_kind,
                       unbounded_kind,
                       priority_kind) {
        weft::thread_pool pool({.workers = 1});
        object_count objects;
        int fuse = 0;
        {
            Channel values;
            channel<int> quiet(0);
            fragile mine(objects, fuse, 1);
            auto const is_as_before = [&] {
                return fuse == 0 && mine.value() == 1 && values.empty() && values.high_water() == 0;
            };
            fuse = 1;
            CHECK_THROWS_AS((void)values.try_send(std::move(mine)), burnt);
            CHECK(is_as_before());
            fuse = 1;
            CHECK_THROWS_AS(values.send_blocking(std::move(mine)), burnt);
            CHECK(is_as_before());
            auto work = [&]() -> task<> {
                auto const send = [&] { return values.send(std::move(mine)); };
                fuse = 1;
                CHECK(co_await throws(send));
                CHECK(is_as_before());
                fuse = 1;
                CHECK(co_await send_in_select_throws(values, mine, quiet));
                CHECK(is_as_before());
            };
            pool.block_on(work());
            CHECK(values.try_send(std::move(mine)).has_value());
            CHECK(values.try_recv()->value() == 1);
        }
        CHECK(objects.alive == 0);
    }

    TEST_CASE_TEMPLATE("a value whose move out of a channel throws can be received again",
                       Channel,
                       bounded_kind,
                       unbounded_kind,
                       priority_kind) {
        weft::thread_pool pool({.workers = 1});
        object_count objects;
        int fuse = 0;
        {
            Channel values;
            channel<int> quiet(0);
            CHECK(values.try_send(fragile(objects, fuse, 1)).has_value());
            fuse = 1;
            CHECK_THROWS_AS((void)values.try_recv(), burnt);
            CHECK(values.size() == 1);
            fuse = 1;
            CHECK_THROWS_AS((void)values.recv_blocking(), burnt);
            CHECK(values.size() == 1);
            auto work = [&]() -> task<> {
                auto const recv = [&] { return values.recv(); };
                fuse = 1;
                CHECK(co_await throws(recv));
                CHECK(values.size() == 1);
                fuse = 1;
                CHECK(co_await recv_in_select_throws(values, quiet));
                CHECK(values.size() == 1);
            };
            pool.block_on(work());
            CHECK(values.try_recv()->value() == 1);
        }
        CHECK(objects.alive == 0);
    }

    TEST_CASE_TEMPLATE("a throwing move in bulk stops where it is and loses one value at most",
                       Channel,
                       bounded_kind,
                       unbounded_kind,
                       priority_kind) {
        weft::thread_pool pool({.workers = 1});
        object_count objects;
        int fuse = 0;
        {
            Channel values;
            auto row = row_of(objects, fuse, 5);
            auto next = row.begin();
            std::vector<fragile> target;
            target.reserve(32);  // so that only the channel moves
            auto const send = [&] { return values.send_many(next, row.end()); };
            auto const recv = [&] { return values.recv_many(target, 8); };
            auto work = [&]() -> task<> {
                fuse = 3;
                CHECK(co_await throws(send));
                CHECK(next - row.begin() == 2);
                CHECK(next->value() == 3);
                CHECK(values.size() == 2);
                co_await values.send_many(next, row.end());
                CHECK(values.size() == 5);

                fuse = 1;  // out of the channel
                CHECK(co_await throws(recv));
                CHECK(values.size() == 5);
                fuse = 4;  // the second value, out of the channel
                CHECK(co_await throws(recv));
                CHECK(values.size() == 4);
                CHECK(values_of(target) == std::vector<int>{1});
                fuse = 3;  // the next value, which has left the channel, into the target
                CHECK(co_await throws(recv));
                CHECK(values.size() == 3);
                CHECK(co_await values.recv_many(target, 8) == 3);
                CHECK(values_of(target) == std::vector<int>{1, 3, 4, 5});
            };
            pool.block_on(work());
            CHECK(objects.alive == 9);  // with the shells of the row
        }
        CHECK(objects.alive == 0);
    }

    TEST_CASE("a value that is lost to a throwing move may use its channel when it is destroyed") {
        weft::thread_pool pool({.workers = 1});
        int fuse = 0;
        channel<asking> values(4);
        std::vector<asking> target;
        target.reserve(32);
        auto const recv = [&] { return values.recv_many(target, 8); };
        auto work = [&]() -> task<> {
            for (int const last_move : {3, 5}) {
                CHECK(values.try_send(asking(values, fuse)).has_value());
                CHECK(values.try_send(asking(values, fuse)).has_value());
                fuse = last_move;  // of the first value, and of the second, into the target
                CHECK(co_await throws(recv));
                fuse = 0;
                while (values.try_recv().has_value()) {
                }
            }
        };
        pool.block_on(work());
        target.clear();
        CHECK(values.empty());
    }

    TEST_CASE("a throwing move leaves a select waiting in all its branches") {
        weft::thread_pool pool({.workers = 1});
        object_count objects;
        int fuse = 0;
        channel<fragile> in(0);
        channel<fragile> out(0);
        channel<int> other(0);
        fragile mine(objects, fuse, 1);
        fragile yours(objects, fuse, 2);
        std::size_t winner = 99;
        auto selects = [&]() -> task<> {
            auto const won =
                co_await weft::select(in.recv(), out.send(std::move(mine)), other.recv());
            winner = won.index();
        };
        auto work = [&]() -> task<> {
            auto body = [&](nursery& n) -> task<> {
                n.spawn(selects());
                co_await let_others_run();
                fuse = 1;
                CHECK_THROWS_AS((void)in.try_send(std::move(yours)), burnt);
                fuse = 1;
                CHECK_THROWS_AS((void)out.try_recv(), burnt);
                co_await let_others_run();
                CHECK(winner == 99);
                CHECK(other.try_send(1).has_value());
            };
            co_await weft::scope(body);
        };
        pool.block_on(work());
        CHECK(winner == 2);
        CHECK(mine.value() == 1);
        CHECK(yours.value() == 2);
    }

    TEST_CASE("a full policy counts what it has dropped, whatever throws meanwhile") {
        object_count objects;
        int fuse = 0;
        {
            channel<fragile> newest(1, full_policy::drop_newest);
            channel<fragile> oldest(2, full_policy::drop_oldest);
            channel<fragile> strict(1, full_policy::fail);
            CHECK(newest.try_send(fragile(objects, fuse, 1)).has_value());
            CHECK(oldest.try_send(fragile(objects, fuse, 1)).has_value());
            CHECK(oldest.try_send(fragile(objects, fuse, 2)).has_value());
            CHECK(strict.try_send(fragile(objects, fuse, 1)).has_value());
            fragile mine(objects, fuse, 3);

            fuse = 1;
            CHECK_THROWS_AS((void)newest.try_send(std::move(mine)), burnt);
            CHECK(newest.dropped_count() == 0);
            CHECK(mine.value() == 3);

            fuse = 1;  // of the oldest, out of the channel
            CHECK_THROWS_AS((void)oldest.try_send(std::move(mine)), burnt);
            CHECK(oldest.dropped_count() == 0);
            CHECK(oldest.size() == 2);
            fuse = 2;  // of the new one, for which the oldest has made room
            CHECK_THROWS_AS((void)oldest.try_send(std::move(mine)), burnt);
            CHECK(oldest.dropped_count() == 1);
            CHECK(oldest.size() == 1);
            CHECK(mine.value() == 3);
            CHECK(oldest.try_recv()->value() == 2);

            fuse = 1;
            CHECK_FALSE(strict.try_send(std::move(mine)).has_value());
            CHECK(fuse == 1);  // not moved
            fuse = 0;
        }
        CHECK(objects.alive == 0);
    }

    TEST_CASE("what the last receiver leaves behind is destroyed, though its moves throw") {
        object_count objects;
        int fuse = 0;
        auto [tx, rx] = weft::make_channel<fragile>(4);
        for (int i = 0; i < 4; ++i) {
            CHECK(tx.try_send(fragile(objects, fuse, i)).has_value());
        }
        fuse = 2;
        rx = weft::receiver<fragile>();
        CHECK(fuse == 0);
        CHECK(objects.alive == 0);
    }

    TEST_CASE("a oneshot goes on after a move that throws, into it and out of it") {
        weft::thread_pool pool({.workers = 1});
        object_count objects;
        int fuse = 0;
        int got = 0;
        auto receives = [&](weft::oneshot_receiver<fragile> from) -> task<> {
            auto const value = co_await from.recv();
            got = value.has_value() ? value->value() : -1;
        };
        auto work = [&]() -> task<> {
            auto [tx, rx] = weft::make_oneshot<fragile>();
            fragile mine(objects, fuse, 1);
            fuse = 1;
            CHECK_THROWS_AS((void)tx.send(std::move(mine)), burnt);
            CHECK_FALSE(tx.is_closed());
            CHECK(mine.value() == 1);
            CHECK(tx.send(std::move(mine)).has_value());
            fuse = 1;
            auto const recv = [&receiver = rx] { return receiver.recv(); };
            CHECK(co_await throws(recv));
            CHECK(rx.try_recv()->value() == 1);

            auto [late, waiting] = weft::make_oneshot<fragile>();
            auto body = [&, &sender = late, &receiver = waiting](nursery& n) -> task<> {
                n.spawn(receives(std::move(receiver)));
                co_await let_others_run();
                fragile other(objects, fuse, 2);
                fuse = 1;
                CHECK_THROWS_AS((void)sender.send(std::move(other)), burnt);
                co_await let_others_run();
                CHECK(got == 0);
                CHECK(sender.send(std::move(other)).has_value());
            };
            co_await weft::scope(body);
        };
        pool.block_on(work());
        CHECK(got == 2);
        CHECK(objects.alive == 0);
    }

    TEST_CASE("a copy that throws sends nothing, and gives what it was a copy of to the next") {
        weft::thread_pool pool({.workers = 1});
        int fuse = 0;
        weft::broadcast<fragile_copy> news(2);
        weft::watch<fragile_copy> state{fragile_copy(fuse)};
        fragile_copy const original(fuse);
        int thrown = 0;
        int received = 0;
        auto reads = [&](weft::broadcast_receiver<fragile_copy> from) -> task<> {
            auto const recv = [&] { return from.recv(); };
            thrown += co_await throws(recv) ? 1 : 0;
            received += from.try_recv().has_value() ? 1 : 0;
        };
        auto work = [&]() -> task<> {
            auto reader = news.subscribe();
            fuse = 1;
            CHECK_THROWS_AS((void)news.send(original), burnt);
            fuse = 1;
            CHECK_THROWS_AS((void)state.send(original), burnt);
            fuse = 1;
            CHECK_THROWS_AS((void)state.get(), burnt);
            CHECK_FALSE(reader.try_recv().has_value());
            auto body = [&](nursery& n) -> task<> {
                auto changes = state.subscribe();
                (void)changes.try_recv();
                n.spawn(reads(std::move(reader)));
                n.spawn(reads(std::move(changes)));
                co_await let_others_run();
                fuse = 1;
                CHECK(news.send(fragile_copy(fuse)).has_value());
                co_await let_others_run();
                fuse = 1;
                CHECK(state.send(fragile_copy(fuse)).has_value());
                co_await let_others_run();
            };
            co_await weft::scope(body);
        };
        pool.block_on(work());
        CHECK(thrown == 2);
        CHECK(received == 2);
    }
}
