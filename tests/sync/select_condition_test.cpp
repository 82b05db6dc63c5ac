#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/scope/scope.hpp>
#include <weft/runtime/time/timeout.hpp>
#include <weft/sync/channels/channel.hpp>
#include <weft/sync/locks/condition.hpp>
#include <weft/sync/locks/mutex.hpp>
#include <weft/sync/locks/once.hpp>
#include <weft/sync/select.hpp>
#include <weft/tests/support/death.hpp>
#include <weft/tests/support/let_others_run.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <vector>

// Waits for conditions, and what is done once, as branches of a select.

namespace {

using namespace std::chrono_literals;

using weft::channel;
using weft::nursery;
using weft::task;
using weft::test::let_others_run;

using predicate = bool (*)();

static_assert(weft::selectable<weft::condition_variable::wait_operation>);
static_assert(weft::selectable<weft::predicate_operation<predicate>>);
static_assert(weft::selectable<weft::lazy<int>::value_operation>);

}  // namespace

TEST_SUITE("sync/select_condition") {
    TEST_CASE("a wait of a condition wins with the mutex, and loses with it too") {
        weft::thread_pool pool({.workers = 1});
        weft::mutex lock;
        weft::condition_variable changed;
        channel<int> values(0);
        bool flag = false;
        std::vector<std::size_t> winners;
        auto selects = [&](bool with_predicate) -> task<> {
            auto guard = co_await lock.scoped_lock();
            if (with_predicate) {
                auto const holds = [&flag] { return flag; };
                auto wait = [&] { return changed.wait(guard, holds); };
                auto const won = co_await weft::select(wait(), values.recv());
                winners.push_back(won.index());
            } else {
                auto const won = co_await weft::select(changed.wait(guard), values.recv());
                winners.push_back(won.index());
            }
            CHECK(static_cast<bool>(guard));
            CHECK_FALSE(lock.try_lock());
        };
        auto work = [&](bool with_predicate) -> task<> {
            auto body = [&](nursery& n) -> task<> {
                n.spawn(selects(with_predicate));
                co_await let_others_run();
                CHECK(lock.try_lock());  // it has given the mutex up
                flag = true;
                changed.notify_one();
                co_await let_others_run();
                CHECK(winners.empty());
                lock.unlock();
                co_await let_others_run();
                CHECK(winners == std::vector<std::size_t>{0});
                flag = false;
                n.spawn(selects(with_predicate));
                co_await let_others_run();
                CHECK(lock.try_lock());
                CHECK(values.try_send(1).has_value());
                co_await let_others_run();
                CHECK(winners.size() == 1);
                lock.unlock();
            };
            co_await weft::scope(body);
        };
        for (bool const with_predicate : {false, true}) {
            winners.clear();
            pool.block_on(work(with_predicate));
            CHECK(winners == std::vector<std::size_t>{0, 1});
            CHECK(lock.try_lock());
            lock.unlock();
        }
    }

    TEST_CASE("a notification that a losing branch was woken with goes to the next") {
        weft::thread_pool pool({.workers = 1});
        weft::mutex lock;
        weft::condition_variable changed;
        channel<int> values(0);
        bool flag = false;
        bool next_was_woken = false;
        auto selects = [&](bool with_predicate) -> task<> {
            auto guard = co_await lock.scoped_lock();
            std::size_t winner = 0;
            if (with_predicate) {
                auto const holds = [&flag] { return flag; };
                auto wait = [&] { return changed.wait(guard, holds); };
                auto const won = co_await weft::select(wait(), values.recv());
                winner = won.index();
            } else {
                auto const won = co_await weft::select(changed.wait(guard), values.recv());
                winner = won.index();
            }
            CHECK(winner == 1);
        };
        auto waits = [&]() -> task<> {
            auto guard = co_await lock.scoped_lock();
            co_await changed.wait(guard);
            next_was_woken = true;
        };
        auto work = [&](bool with_predicate) -> task<> {
            auto body = [&](nursery& n) -> task<> {
                n.spawn(selects(with_predicate));
                co_await let_others_run();
                n.spawn(waits());
                co_await let_others_run();
                CHECK(lock.try_lock());
                flag = true;
                changed.notify_one();                   // to the select, which wants the mutex now
                CHECK(values.try_send(1).has_value());  // and is decided before it has it
                lock.unlock();
            };
            co_await weft::scope(body);
        };
        for (bool const with_predicate : {false, true}) {
            flag = next_was_woken = false;
            pool.block_on(work(with_predicate));
            CHECK(next_was_woken);
        }
    }

    TEST_CASE("a branch that loses may need the mutex that the wait which wins gives up") {
        weft::thread_pool pool({.workers = 1});
        weft::mutex lock;
        weft::condition_variable changed;
        std::size_t winner = 2;
        auto waits_too = [&]() -> task<> {
            auto guard = co_await lock.scoped_lock();
            co_await changed.wait(guard);
        };
        auto selects = [&]() -> task<> {
            auto guard = co_await lock.scoped_lock();
            auto const won = co_await weft::select(changed.wait(guard), waits_too());
            winner = won.index();
            CHECK_FALSE(lock.try_lock());
        };
        auto work = [&]() -> task<> {
            auto body = [&](nursery& n) -> task<> {
                n.spawn(selects());
                co_await let_others_run();
                changed.notify_one();
            };
            co_await weft::scope(body);
        };
        pool.block_on(work());
        CHECK(winner == 0);
        CHECK(lock.try_lock());
        lock.unlock();
    }

    TEST_CASE("a branch that loses may need the mutex that a wait which loses gives up") {
        weft::thread_pool pool({.workers = 1});
        weft::mutex lock;
        weft::condition_variable changed;
        channel<int> values(0);
        bool has_mutex = false;
        auto waits_too = [&]() -> task<> {
            auto guard = co_await lock.scoped_lock();
            co_await changed.wait(guard);
        };
        // Hears of the stop after the wait of the select, which begins later.
        auto waits_below = [&]() -> task<> { co_await weft::timeout(1h, waits_too()); };

        struct probe {
            weft::mutex* lock;
            bool* has_mutex;

            ~probe() { *has_mutex = !lock->try_lock(); }
        };

        auto selects = [&](bool with_predicate) -> task<> {
            auto guard = co_await lock.scoped_lock();
            probe const at_end{&lock, &has_mutex};
            if (with_predicate) {
                auto wait = [&] { return changed.wait(guard, [] { return false; }); };
                (void)co_await weft::select(waits_below(), wait(), values.recv());
            } else {
                (void)co_await weft::select(waits_below(), changed.wait(guard), values.recv());
            }
        };
        auto work = [&](bool with_predicate, bool is_stopped) -> task<> {
            auto body = [&](nursery& n) -> task<> {
                n.spawn(selects(with_predicate));
                co_await let_others_run();
                if (is_stopped) {
                    n.request_stop();
                } else {
                    CHECK(values.try_send(1).has_value());
                }
            };
            co_await weft::scope(body);
        };
        for (int kind = 0; kind < 4; ++kind) {
            has_mutex = false;
            pool.block_on(work(kind % 2 != 0, kind / 2 != 0));
            CHECK(has_mutex);
            CHECK(lock.try_lock());
            lock.unlock();
        }
    }

    TEST_CASE("two waits with one guard abort with the reason") {
        auto const seen = weft::test::death_of([] {
            weft::thread_pool pool({.workers = 1});
            weft::mutex lock;
            weft::condition_variable one;
            weft::condition_variable other;
            auto work = [&]() -> task<> {
                auto guard = co_await lock.scoped_lock();
                (void)co_await weft::select(one.wait(guard), other.wait(guard));
            };
            pool.block_on(work());
        });
        CHECK(weft::test::aborted_saying(seen, "wait for conditions with one guard"));
    }

    TEST_CASE("a once and a lazy value are branches; what a losing one has computed stays") {
        weft::thread_pool pool({.workers = 1});
        weft::once once;
        weft::lazy<int> lazy([]() -> task<int> {
            co_await weft::yield();
            co_return 5;
        });
        channel<int> quiet(0);
        auto nothing = []() -> task<> { co_return; };
        auto work = [&]() -> task<> {
            auto won = co_await weft::select(quiet.recv(), lazy.value());
            CHECK(won.index() == 1);
            CHECK(*won.get<1>() == 5);
            auto const called = co_await weft::select(quiet.recv(), once.call(nothing));
            CHECK(called.index() == 1);
            CHECK(once.is_done());
        };
        pool.block_on(work());
    }
}
