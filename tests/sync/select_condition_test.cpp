#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/scope/scope.hpp>
#include <weft/sync/channels/channel.hpp>
#include <weft/sync/locks/condition.hpp>
#include <weft/sync/locks/mutex.hpp>
#include <weft/sync/locks/once.hpp>
#include <weft/sync/select.hpp>
#include <weft/tests/support/let_others_run.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <vector>

// Waits for conditions, and what is done once, as branches of a select.

namespace {

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
        weft::thread_pool pool(1);
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
        weft::thread_pool pool(1);
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

    TEST_CASE("a once and a lazy value are branches; what a losing one has computed stays") {
        weft::thread_pool pool(1);
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
