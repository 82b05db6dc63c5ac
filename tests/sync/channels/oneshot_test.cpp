#include <weft/sync/channels/oneshot.hpp>

#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/scope/scope.hpp>
#include <weft/runtime/time/sleep.hpp>
#include <weft/sync/select.hpp>
#include <weft/tests/support/counted.hpp>
#include <weft/tests/support/death.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <thread>
#include <utility>
#include <vector>

namespace {

using weft::nursery;
using weft::task;
using weft::test::counted;
using weft::test::object_count;

}  // namespace

TEST_SUITE("sync/oneshot") {
    TEST_CASE("the value that is sent is received, before or after the receiver waits") {
        weft::thread_pool pool({.workers = 1});
        object_count objects;
        int sum = 0;
        auto receive = [&](weft::oneshot_receiver<counted> from) -> task<> {
            auto const value = co_await from.recv();
            sum += value->value;
            auto const nothing = co_await from.recv();
            CHECK_FALSE(nothing.has_value());
        };
        auto work = [&]() -> task<> {
            auto [early, first] = weft::make_oneshot<counted>();
            CHECK(early.send(counted(objects, 1)).has_value());
            co_await receive(std::move(first));
            auto [late, second] = weft::make_oneshot<counted>();
            auto body = [&, &sender = late, &receiver = second](nursery& n) -> task<> {
                n.spawn(receive(std::move(receiver)));
                for (int i = 0; i < 8; ++i) {
                    co_await weft::yield();
                }
                CHECK(sender.send(counted(objects, 2)).has_value());
            };
            co_await weft::scope(body);
        };
        pool.block_on(work());
        CHECK(sum == 3);
        CHECK(objects.alive == 0);
    }

    TEST_CASE("a second value is refused and stays with its sender") {
        object_count objects;
        auto [tx, rx] = weft::make_oneshot<counted>();
        CHECK(tx.send(counted(objects, 1)).has_value());
        counted second(objects, 2);
        CHECK(tx.send(std::move(second)).error() == weft::errc::closed);
        CHECK(second.value == 2);
        CHECK(tx.is_closed());
        CHECK(rx.try_recv()->value == 1);
        CHECK(rx.try_recv().error() == weft::errc::closed);
    }

    TEST_CASE("a sender that goes without sending ends the wait with nothing") {
        weft::thread_pool pool({.workers = 1});
        bool empty = false;
        auto work = [&]() -> task<> {
            auto [tx, rx] = weft::make_oneshot<int>();
            CHECK(rx.try_recv().error() == std::errc::resource_unavailable_try_again);
            auto give_up = [](weft::oneshot_sender<int> gone) -> task<> {
                co_await weft::yield();
                (void)gone;
            };
            auto body = [&, &sender = tx, &receiver = rx](nursery& n) -> task<> {
                n.spawn(give_up(std::move(sender)));
                auto const value = co_await receiver.recv();
                empty = !value.has_value();
            };
            co_await weft::scope(body);
        };
        pool.block_on(work());
        CHECK(empty);
    }

    TEST_CASE("a receiver that goes destroys the value and makes sending fail") {
        object_count objects;
        auto [tx, rx] = weft::make_oneshot<counted>();
        CHECK(tx.send(counted(objects, 1)).has_value());
        rx = weft::oneshot_receiver<counted>();
        CHECK(objects.alive == 0);
        auto [other, unused] = weft::make_oneshot<counted>();
        unused = weft::oneshot_receiver<counted>();
        CHECK(other.send(counted(objects, 2)).error() == weft::errc::closed);
    }

    TEST_CASE("a oneshot crosses threads: either side may be a foreign one") {
        weft::thread_pool pool({.workers = 2});
        for (int round = 0; round < 200; ++round) {
            auto [request, at_worker] = weft::make_oneshot<int>();
            auto [answer, at_thread] = weft::make_oneshot<int>();
            auto serve = [](weft::oneshot_receiver<int> from,
                            weft::oneshot_sender<int> to) -> task<> {
                auto const value = co_await from.recv();
                (void)to.send(*value + 1);
            };
            std::thread server([&pool, &serve, &from = at_worker, &to = answer] {
                pool.block_on(serve(std::move(from), std::move(to)));
            });
            CHECK(request.send(round).has_value());
            CHECK(at_thread.recv_blocking() == round + 1);
            server.join();
        }
    }

    TEST_CASE("a oneshot whose receiver is destroyed while it waits aborts and names itself") {
        auto const seen = weft::test::death_of([] {
            weft::thread_pool pool({.workers = 1});
            auto [tx, rx] = weft::make_oneshot<int>();
            auto waits = [&receiver = rx]() -> task<> { (void)co_await receiver.recv(); };
            auto work = [&, &receiver = rx]() -> task<> {
                auto body = [&](nursery& n) -> task<> {
                    n.spawn(waits());
                    co_await weft::yield();
                    receiver = weft::oneshot_receiver<int>();
                };
                co_await weft::scope(body);
            };
            pool.block_on(work());
        });
        CHECK(weft::test::aborted_saying(seen, "a oneshot is destroyed while somebody waits"));
    }

    TEST_CASE("waiting for an answer can be given up in a select, and the answer still comes") {
        weft::thread_pool pool({.workers = 1});
        auto work = [&]() -> task<> {
            auto [tx, rx] = weft::make_oneshot<int>();
            auto won =
                co_await weft::select(rx.recv(), weft::sleep_for(std::chrono::milliseconds(1)));
            CHECK(won.index() == 1);
            CHECK(tx.send(5).has_value());
            auto const value = co_await rx.recv();
            CHECK(value == 5);
        };
        pool.block_on(work());
    }
}
