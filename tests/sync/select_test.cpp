#include <weft/sync/select.hpp>

#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/scope/scope.hpp>
#include <weft/runtime/task/as_result.hpp>
#include <weft/runtime/testing/test_runtime.hpp>
#include <weft/runtime/time/sleep.hpp>
#include <weft/sync/channels/channel.hpp>
#include <weft/tests/support/counted.hpp>
#include <weft/tests/support/let_others_run.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using weft::channel;
using weft::nursery;
using weft::task;
using weft::test::counted;
using weft::test::let_others_run;
using weft::test::object_count;

task<int> sleeps_then(int value, weft::clock::duration nap) {
    co_await weft::sleep_for(nap);
    co_return value;
}

static_assert(weft::selectable<weft::task<int>>);
static_assert(weft::selectable<weft::sleep_operation>);
static_assert(weft::selectable<weft::join_operation<int, weft::join_handle<int>&>>);
static_assert(!weft::selectable<weft::join_operation<int, weft::join_handle<int>>>);
static_assert(!weft::selectable<weft::yield_operation>);

using sleep_or_sleep = weft::select_operation<false, weft::sleep_operation, weft::sleep_operation>;
static_assert(weft::awaitable<sleep_or_sleep>);
static_assert(!std::is_move_constructible_v<sleep_or_sleep>);

}  // namespace

TEST_SUITE("sync/select") {
    TEST_CASE("the branch that can complete does, and the others have done nothing") {
        weft::thread_pool pool({.workers = 1});
        channel<int> a(1);
        channel<int> b(1);
        channel<std::string> full(1);
        auto work = [&]() -> task<> {
            (void)b.try_send(5);
            (void)full.try_send("first");
            std::string second = "second";
            auto won = co_await weft::select(a.recv(), b.recv(), full.send(std::move(second)));
            CHECK(won.index() == 1);
            CHECK(*won.get<1>() == 5);
            CHECK(second == "second");
            CHECK(full.size() == 1);
            CHECK_THROWS_AS((void)won.get<0>(), std::bad_variant_access);
        };
        pool.block_on(work());
    }

    TEST_CASE("a waiting select takes the first value that arrives and leaves the other channels") {
        weft::thread_pool pool({.workers = 1});
        channel<int> a(0);
        channel<int> b(0);
        std::size_t winner = 99;
        int value = 0;
        auto selector = [&]() -> task<> {
            auto won = co_await weft::select(a.recv(), b.recv());
            winner = won.index();
            value = won.index() == 0 ? *won.get<0>() : *won.get<1>();
        };
        auto work = [&]() -> task<> {
            auto body = [&](nursery& n) -> task<> {
                n.spawn(selector());
                co_await let_others_run();
                CHECK(b.try_send(8).has_value());
                // Decided: the node that is left in the other channel takes nothing.
                CHECK_FALSE(a.try_send(9).has_value());
                CHECK_FALSE(b.try_send(10).has_value());
            };
            co_await weft::scope(body);
        };
        pool.block_on(work());
        CHECK(winner == 1);
        CHECK(value == 8);
    }

    TEST_CASE("a select that sends gives its value to a receiver and keeps the others") {
        object_count objects;
        weft::thread_pool pool({.workers = 1});
        channel<counted> a(0);
        channel<counted> b(0);
        counted x(objects, 1);
        counted y(objects, 2);
        std::size_t winner = 99;
        auto selector = [&]() -> task<> {
            auto won = co_await weft::select(a.send(std::move(x)), b.send(std::move(y)));
            winner = won.index();
        };
        auto work = [&]() -> task<> {
            auto body = [&](nursery& n) -> task<> {
                n.spawn(selector());
                co_await let_others_run();
                auto const got = co_await a.recv();
                CHECK(got->value == 1);
                CHECK_FALSE(b.try_recv().has_value());
            };
            co_await weft::scope(body);
        };
        pool.block_on(work());
        CHECK(winner == 0);
        CHECK(x.value == counted::moved_from);
        CHECK(y.value == 2);
        CHECK(objects.alive == 2);
    }

    TEST_CASE("two selects meet on a rendezvous, either of them first") {
        weft::thread_pool pool({.workers = 1});
        channel<int> a(0);
        channel<int> b(0);
        channel<int> never(0);
        int got = 0;
        auto taker = [&]() -> task<> {
            auto won = co_await weft::select(a.recv(), never.recv());
            got += won.index() == 0 ? *won.get<0>() : 1000;
        };
        auto giver = [&](int value) -> task<> {
            auto won = co_await weft::select(never.recv(), b.send(7), a.send(value));
            CHECK(won.index() == 2);
        };
        auto work = [&]() -> task<> {
            auto taker_first = [&](nursery& n) -> task<> {
                n.spawn(taker());
                co_await let_others_run();
                n.spawn(giver(1));
            };
            co_await weft::scope(taker_first);
            auto giver_first = [&](nursery& n) -> task<> {
                n.spawn(giver(2));
                co_await let_others_run();
                n.spawn(taker());
            };
            co_await weft::scope(giver_first);
        };
        pool.block_on(work());
        CHECK(got == 3);
    }

    TEST_CASE("a select may send to and receive from the same channel without meeting itself") {
        weft::thread_pool pool({.workers = 1});
        channel<int> same(0);
        std::size_t winner = 99;
        auto selector = [&]() -> task<> {
            auto won = co_await weft::select(same.recv(), same.send(1), same.recv());
            winner = won.index();
        };
        auto work = [&]() -> task<> {
            auto body = [&](nursery& n) -> task<> {
                n.spawn(selector());
                co_await let_others_run();
                CHECK(same.try_recv().value() == 1);
            };
            co_await weft::scope(body);
        };
        pool.block_on(work());
        CHECK(winner == 1);
    }

    TEST_CASE("one channel may be several branches of a select; one of them takes effect") {
        weft::thread_pool pool({.workers = 1});
        channel<int> same(1);
        int received = 0;
        auto receives = [&]() -> task<> {
            auto const won = co_await weft::select(same.recv(), same.recv());
            received = won.index() == 0 ? *won.get<0>() : *won.get<1>();
        };
        auto sends = [&]() -> task<> {
            (void)co_await weft::select(same.send(3), same.send(3), same.send(3));
        };
        auto work = [&]() -> task<> {
            auto receiving = [&](nursery& n) -> task<> {
                n.spawn(receives());
                co_await let_others_run();
                CHECK(same.try_send(1).has_value());
                CHECK(same.try_send(2).has_value());
                CHECK(same.size() == 1);
            };
            co_await weft::scope(receiving);
            CHECK(received == 1);
            auto sending = [&](nursery& n) -> task<> {
                n.spawn(sends());
                co_await let_others_run();
                CHECK(same.try_recv().value() == 2);
                CHECK(same.try_recv().value() == 3);
                CHECK_FALSE(same.try_recv().has_value());
            };
            co_await weft::scope(sending);
            CHECK(same.high_water() == 1);
        };
        pool.block_on(work());
    }

    TEST_CASE(
        "with bias the first branch that can complete is taken, without it every one in "
        "turn") {
        weft::thread_pool pool({.workers = 1});
        channel<int> a(100);
        channel<int> b(100);
        auto work = [&]() -> task<> {
            for (int i = 0; i < 100; ++i) {
                (void)a.try_send(i);
                (void)b.try_send(i);
            }
            int firsts = 0;
            for (int i = 0; i < 40; ++i) {
                auto won = co_await weft::select(weft::biased, a.recv(), b.recv());
                firsts += won.index() == 0 ? 1 : 0;
            }
            CHECK(firsts == 40);
            firsts = 0;
            for (int i = 0; i < 40; ++i) {
                auto won = co_await weft::select(a.recv(), b.recv());
                firsts += won.index() == 0 ? 1 : 0;
            }
            CHECK(firsts >= 10);
            CHECK(firsts <= 30);
        };
        pool.block_on(work());
    }

    TEST_CASE("a closed channel completes its branch: recv with nothing, send with the error") {
        weft::thread_pool pool({.workers = 1});
        channel<int> open(0);
        channel<int> closed(0);
        closed.close();
        auto work = [&]() -> task<> {
            auto won = co_await weft::select(open.recv(), closed.recv());
            CHECK(won.index() == 1);
            CHECK_FALSE(won.get<1>().has_value());
            bool thrown = false;
            try {
                (void)co_await weft::select(open.recv(), closed.send(1));
            } catch (std::system_error const& error) {
                thrown = error.code() == weft::errc::closed;
            }
            CHECK(thrown);
            auto told = co_await weft::select(open.recv(), weft::as_result(closed.send(1)));
            CHECK(told.get<1>().error() == weft::errc::closed);
        };
        pool.block_on(work());
    }

    TEST_CASE("closing a channel wakes a waiting select") {
        weft::thread_pool pool({.workers = 1});
        channel<int> a(0);
        channel<int> b(0);
        bool woken = false;
        auto selector = [&]() -> task<> {
            auto won = co_await weft::select(a.recv(), b.recv());
            woken = won.index() == 1 && !won.get<1>().has_value();
        };
        auto work = [&]() -> task<> {
            auto body = [&](nursery& n) -> task<> {
                n.spawn(selector());
                co_await let_others_run();
                b.close();
            };
            co_await weft::scope(body);
        };
        pool.block_on(work());
        CHECK(woken);
    }

    TEST_CASE("a sleep wins when no channel has anything, and loses without delay when one has") {
        weft::thread_pool pool({.workers = 2});
        channel<int> quiet(0);
        channel<int> busy(1);
        auto work = [&]() -> task<> {
            auto late = co_await weft::select(quiet.recv(), weft::sleep_for(1ms));
            CHECK(late.index() == 1);
            auto body = [&](nursery& n) -> task<> {
                auto feed = [&]() -> task<> {
                    co_await weft::yield();
                    co_await busy.send(1);
                };
                n.spawn(feed());
                auto won = co_await weft::select(busy.recv(), weft::sleep_for(48h));
                CHECK(won.index() == 0);
            };
            co_await weft::scope(body);
        };
        pool.block_on(work());
    }

    TEST_CASE("a task that wins yields its value; one that loses is stopped and waited for") {
        weft::thread_pool pool({.workers = 2});
        channel<int> quiet(0);
        object_count objects;
        auto holds = [&](weft::clock::duration nap) -> task<> {
            counted held(objects);
            co_await weft::sleep_for(nap);
        };
        auto work = [&]() -> task<> {
            auto won = co_await weft::select(quiet.recv(), holds(48h), sleeps_then(4, 1ms));
            CHECK(won.index() == 2);
            CHECK(won.get<2>() == 4);
            CHECK(objects.alive == 0);
        };
        pool.block_on(work());
    }

    TEST_CASE("a join is a branch: it gives a pointer to the value, and can be lost and repeated") {
        weft::thread_pool pool({.workers = 2});
        channel<int> quiet(0);
        channel<int> ready(1);
        auto work = [&]() -> task<> {
            auto body = [&](nursery& n) -> task<> {
                auto child = n.spawn(sleeps_then(6, 2ms));
                auto feed = n.spawn(sleeps_then(0, 1us));
                (void)co_await feed;
                (void)ready.try_send(1);
                auto lost = co_await weft::select(child.join(), ready.recv());
                CHECK(lost.index() == 1);
                auto won = co_await weft::select(quiet.recv(), child.join());
                CHECK(won.index() == 1);
                CHECK(*won.get<1>() == 6);
            };
            co_await weft::scope(body);
        };
        pool.block_on(work());
    }

    TEST_CASE("an exception of the branch that wins is thrown by the select") {
        weft::thread_pool pool({.workers = 1});
        channel<int> quiet(0);
        auto fails = []() -> task<int> {
            co_await weft::yield();
            throw std::runtime_error("branch");
        };
        bool thrown = false;
        auto work = [&]() -> task<> {
            try {
                (void)co_await weft::select(quiet.recv(), fails());
            } catch (std::runtime_error const& error) {
                thrown = std::string(error.what()) == "branch";
            }
        };
        pool.block_on(work());
        CHECK(thrown);
    }

    TEST_CASE("with bias a task is not started when a branch before it can complete at once") {
        weft::thread_pool pool({.workers = 1});
        channel<int> ready(1);
        bool started = false;
        auto branch = [&]() -> task<> {
            started = true;
            co_return;
        };
        auto work = [&]() -> task<> {
            (void)ready.try_send(1);
            auto won = co_await weft::select(weft::biased, ready.recv(), branch());
            CHECK(won.index() == 0);
        };
        pool.block_on(work());
        CHECK_FALSE(started);
    }

    TEST_CASE("a stop ends a select in every branch; the result form tells of it") {
        weft::thread_pool pool({.workers = 1});
        channel<int> a(0);
        channel<int> b(0);
        bool went_on = false;
        std::error_code told;
        object_count objects;
        auto plain = [&]() -> task<> {
            counted held(objects);
            (void)co_await weft::select(a.recv(), b.send(1), weft::sleep_for(48h));
            went_on = true;
        };
        auto hiding = [&]() -> task<> {
            auto const won = co_await weft::as_result(weft::select(a.recv(), b.send(1)));
            told = won.error();
        };
        auto work = [&]() -> task<> {
            auto body = [&](nursery& n) -> task<> {
                n.spawn(plain());
                n.spawn(hiding());
                co_await let_others_run();
                n.request_stop();
            };
            co_await weft::scope(body);
            CHECK_FALSE(a.try_send(1).has_value());
            CHECK_FALSE(b.try_recv().has_value());
        };
        pool.block_on(work());
        CHECK_FALSE(went_on);
        CHECK(told == std::errc::operation_canceled);
        CHECK(objects.alive == 0);
    }

    TEST_CASE("a select in a task that was stopped before takes nothing, even where it could") {
        weft::thread_pool pool({.workers = 1});
        channel<int> ready(1);
        bool went_on = false;
        auto work = [&]() -> task<> {
            (void)ready.try_send(1);
            auto body = [&](nursery& n) -> task<> {
                n.request_stop();
                (void)co_await weft::select(ready.recv(), weft::sleep_for(48h));
                went_on = true;
            };
            co_await weft::scope(body);
        };
        pool.block_on(work());
        CHECK_FALSE(went_on);
        CHECK(ready.size() == 1);
    }

    TEST_CASE("a select of variables can be stored, and awaited as one") {
        weft::thread_pool pool({.workers = 1});
        channel<int> values(2);
        channel<int> quiet(0);
        auto work = [&]() -> task<> {
            (void)values.try_send(1);
            (void)values.try_send(2);
            auto value = values.recv();
            auto nothing = quiet.recv();
            auto stored = weft::select(value, nothing);
            auto const won = co_await stored;
            CHECK(*won.get<0>() == 1);

            auto later = values.recv();
            auto nap = weft::sleep_for(48h);
            auto moved = weft::select(nap, later);
            auto const second = co_await std::move(moved);
            CHECK(*second.get<1>() == 2);
        };
        pool.block_on(work());
    }

    TEST_CASE("with bias a task that ends at once wins, before a channel that is ready") {
        weft::thread_pool pool({.workers = 1});
        channel<int> ready(1);
        bool naps = false;
        auto ends = []() -> task<int> { co_return 4; };
        auto sleeps = [&]() -> task<> {
            naps = true;
            co_await weft::sleep_for(48h);
        };
        auto work = [&]() -> task<> {
            (void)ready.try_send(1);
            auto first = co_await weft::select(weft::biased, ends(), ready.recv());
            CHECK(first.get<0>() == 4);
            auto second = co_await weft::select(weft::biased, sleeps(), ends(), ready.recv());
            CHECK(second.get<1>() == 4);
            CHECK(naps);
            auto third = co_await weft::select(weft::biased, sleeps(), ready.recv(), ends());
            CHECK(third.index() == 1);
        };
        pool.block_on(work());
    }

    TEST_CASE("without a runtime a select takes what is there, whatever else it has") {
        channel<int> ready(1);
        auto never = []() -> task<> { co_return; };
        auto work = [&]() -> task<> {
            auto won = co_await weft::select(never(), ready.recv());
            CHECK(won.index() == 1);
        };
        for (int i = 0; i < 10; ++i) {
            (void)ready.try_send(1);
            weft::sync_wait(work());
        }
    }

    TEST_CASE("a select in a branch of a select runs to its end, however deep") {
        weft::thread_pool pool({.workers = 1});

        struct nest {
            static task<int> of(int depth) {
                if (depth == 0) {
                    co_return 1;
                }
                auto won = co_await weft::select(weft::biased, of(depth - 1), weft::sleep_for(48h));
                co_return won.get<0>() + 1;
            }
        };

        CHECK(pool.block_on(nest::of(5'000)) == 5'001);
    }

    TEST_CASE("try_select takes what is there and never waits") {
        channel<int> a(1);
        channel<int> b(1);
        CHECK_FALSE(weft::try_select(a.recv(), b.recv()).has_value());
        CHECK(a.try_send(3).has_value());
        auto won = weft::try_select(a.recv(), b.recv());
        REQUIRE(won.has_value());
        CHECK(won->index() == 0);
        CHECK(won->get<0>() == 3);
        auto sent = weft::try_select(a.recv(), b.send(4));
        CHECK(sent->index() == 1);
        CHECK(b.size() == 1);
    }

    TEST_CASE("visit calls its visitor with the result of the branch that won") {
        channel<int> a(1);
        channel<std::string> b(1);
        (void)b.try_send("text");
        auto won = weft::try_select(a.recv(), b.recv());
        REQUIRE(won.has_value());
        auto const size = std::move(*won).visit([](auto value) -> std::size_t {
            if constexpr (std::is_same_v<decltype(value), std::optional<std::string>>) {
                return value.has_value() ? value->size() : 0;
            } else {
                return 0;
            }
        });
        CHECK(size == 4);
    }
}
