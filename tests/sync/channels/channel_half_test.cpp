#include <weft/sync/channels/detail/channel_half.hpp>

#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/scope/scope.hpp>
#include <weft/sync/channels/channel.hpp>
#include <weft/sync/channels/priority_channel.hpp>
#include <weft/tests/support/parcel.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <utility>
#include <vector>

namespace {

using weft::task;

/// Can be moved only.
using number = std::unique_ptr<int>;

struct bounded_halves {
    static auto make() { return weft::make_channel<number>(4); }
};

struct unbounded_halves {
    static auto make() { return weft::make_unbounded_channel<number>(); }
};

struct priority_halves {
    static auto make() { return weft::make_priority_channel<number, weft::test::all_equal>(4); }
};

}  // namespace

TEST_SUITE("sync/channel_half") {
    TEST_CASE_TEMPLATE("halves do what their channel does, with values that can only be moved",
                       Halves,
                       bounded_halves,
                       unbounded_halves,
                       priority_halves) {
        weft::thread_pool pool({.workers = 1});
        auto [tx, rx] = Halves::make();
        CHECK(tx.try_send(std::make_unique<int>(1)).has_value());
        tx.send_blocking(std::make_unique<int>(2));
        auto work = [&to = tx, &from = rx]() -> task<> {
            number third = std::make_unique<int>(3);
            co_await to.send(std::move(third));
            CHECK(third == nullptr);
            number row[] = {std::make_unique<int>(4)};
            number* next = row;
            co_await to.send_many(next, row + 1);
            CHECK(next == row + 1);
            CHECK(to.size() == 4);
            CHECK(from.size() == 4);
            auto const first = co_await from.recv();
            CHECK(**first == 1);
            std::vector<number> target;
            CHECK(co_await from.recv_many(target, 1) == 1);
            CHECK(*target[0] == 2);
        };
        pool.block_on(work());
        CHECK(**rx.recv_blocking() == 3);
        CHECK(**rx.try_recv() == 4);
        CHECK(tx.capacity() == rx.capacity());
        CHECK(tx.high_water() == 4);
        CHECK(rx.high_water() == 4);
    }

    TEST_CASE_TEMPLATE("either half closes the channel for both, and what was sent can be received",
                       Halves,
                       bounded_halves,
                       unbounded_halves,
                       priority_halves) {
        for (bool const sender_closes : {false, true}) {
            CAPTURE(sender_closes);
            auto [tx, rx] = Halves::make();
            CHECK(tx.try_send(std::make_unique<int>(1)).has_value());
            CHECK((sender_closes ? tx.close() : rx.close()));
            CHECK_FALSE(tx.close());
            CHECK_FALSE(rx.close());
            CHECK(tx.is_closed());
            CHECK(rx.is_closed());
            number refused = std::make_unique<int>(2);
            CHECK(tx.try_send(std::move(refused)).error() == weft::errc::closed);
            CHECK(*refused == 2);
            CHECK(**rx.try_recv() == 1);
            CHECK(rx.try_recv().error() == weft::errc::closed);
        }
    }

    TEST_CASE("both halves tell what a full policy has dropped") {
        auto [tx, rx] = weft::make_channel<int>(1, weft::full_policy::drop_oldest);
        for (int const value : {1, 2, 3}) {
            CHECK(tx.try_send(value).has_value());
        }
        CHECK(tx.dropped_count() == 2);
        CHECK(rx.dropped_count() == 2);
        CHECK(rx.try_recv().value() == 3);
    }

    TEST_CASE("halves that are copied, moved and assigned keep their channel, each once") {
        auto [tx, rx] = weft::make_channel<int>(4);
        auto copy = tx;
        auto const moved = std::move(tx);
        CHECK_FALSE(static_cast<bool>(tx));
        CHECK(static_cast<bool>(moved));
        auto& same = copy;
        copy = same;
        CHECK(copy.try_send(1).has_value());
        copy = moved;
        copy = weft::sender<int>();
        CHECK_FALSE(rx.is_closed());
        CHECK(moved.try_send(2).has_value());
        auto other = rx;
        rx = weft::receiver<int>();
        CHECK_FALSE(moved.is_closed());
        CHECK(other.try_recv().value() == 1);
        other = weft::receiver<int>();
        CHECK(moved.is_closed());
        CHECK(moved.size() == 0);
    }
}
