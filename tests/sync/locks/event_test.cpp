#include <weft/sync/locks/event.hpp>

#include <weft/runtime/pool/runtime_base.hpp>
#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/scope/scope.hpp>
#include <weft/runtime/time/sleep.hpp>
#include <weft/tests/support/death.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

namespace {

using weft::task;

template <class Event>
task<> note_turn(Event& event, std::vector<int>& order, int name) {
    co_await event.wait();
    order.push_back(name);
}

}  // namespace

TEST_SUITE("sync/event") {
    TEST_CASE("a manual reset event that is set lets everybody pass until it is reset") {
        weft::manual_reset_event event;
        CHECK_FALSE(event.is_set());
        event.set();
        event.set();
        auto work = [](weft::manual_reset_event& e) -> task<int> {
            co_await e.wait();
            co_await e.wait();
            co_return 2;
        };
        CHECK(weft::sync_wait(work(event)) == 2);
        CHECK(event.is_set());
        event.reset();
        CHECK_FALSE(event.is_set());
        event.reset();
        CHECK_FALSE(event.is_set());
        CHECK(weft::manual_reset_event(true).is_set());
    }

    TEST_CASE("an auto reset event keeps one signal, however often it was set") {
        weft::auto_reset_event event;
        CHECK_FALSE(event.try_wait());
        event.set();
        event.set();
        CHECK(event.is_set());
        CHECK(event.try_wait());
        CHECK_FALSE(event.try_wait());
        event.set();
        event.reset();
        CHECK_FALSE(event.try_wait());
        CHECK(weft::auto_reset_event(true).try_wait());
    }

    TEST_CASE("setting a manual reset event lets all through, in order, and none inside set") {
        weft::thread_pool pool({.workers = 1});
        weft::manual_reset_event event;
        std::vector<int> order;
        auto work = [&]() -> task<> {
            auto body = [&](weft::nursery& n) -> task<> {
                for (int i = 1; i <= 4; ++i) {
                    n.spawn(note_turn(event, order, i));
                }
                co_await weft::yield();
                event.set();
                event.reset();
                CHECK(order.empty());
                n.spawn(note_turn(event, order, 5));
                co_await weft::yield();
                CHECK(order == std::vector<int>{1, 2, 3, 4});
                event.set();
            };
            co_await weft::scope(body);
        };
        pool.block_on(work());
        CHECK(order == std::vector<int>{1, 2, 3, 4, 5});
    }

    TEST_CASE("setting an auto reset event lets one task through, the first") {
        weft::thread_pool pool({.workers = 1});
        weft::auto_reset_event event;
        std::vector<int> order;
        auto work = [&]() -> task<> {
            auto body = [&](weft::nursery& n) -> task<> {
                for (int i = 1; i <= 3; ++i) {
                    n.spawn(note_turn(event, order, i));
                }
                co_await weft::yield();
                event.set();
                CHECK(order.empty());
                CHECK_FALSE(event.is_set());
                co_await weft::yield();
                CHECK(order == std::vector<int>{1});
                event.set();
                event.set();
                event.set();
            };
            co_await weft::scope(body);
        };
        pool.block_on(work());
        CHECK(order == std::vector<int>{1, 2, 3});
        CHECK(event.try_wait());
    }

    TEST_CASE("two tasks that take turns by events pass a token a hundred thousand times") {
        weft::thread_pool pool({.workers = 2});
        weft::auto_reset_event ping;
        weft::auto_reset_event pong;
        constexpr int rounds = 50'000;
        int token = 0;  // only who was woken touches it
        auto player = [&token](weft::auto_reset_event& mine,
                               weft::auto_reset_event& other) -> task<> {
            for (int i = 0; i < rounds; ++i) {
                co_await mine.wait();
                ++token;
                other.set();
            }
        };
        auto work = [&]() -> task<> {
            auto body = [&](weft::nursery& n) -> task<> {
                n.spawn(player(ping, pong));
                n.spawn(player(pong, ping));
                ping.set();
                co_return;
            };
            co_await weft::scope(body);
        };
        pool.block_on(work());
        CHECK(token == 2 * rounds);
    }

    TEST_CASE("as many tasks pass an auto reset event as foreign threads were seen to set it") {
        weft::thread_pool pool({.workers = 2});
        weft::auto_reset_event event;
        std::atomic<int> passed = 0;
        constexpr int waiters = 400;
        auto waits = [&]() -> task<> {
            co_await event.wait();
            ++passed;
        };
        for (int i = 0; i < waiters; ++i) {
            pool.spawn(waits());
        }
        std::thread setter([&] {
            for (int i = 0; i < waiters; ++i) {
                event.set();
                while (passed <= i) {
                    std::this_thread::yield();
                }
            }
        });
        setter.join();
        CHECK(passed == waiters);
        CHECK_FALSE(event.is_set());
    }

    TEST_CASE("whoever is let through may destroy the event, though others have yet to run") {
        weft::thread_pool pool({.workers = 2});
        auto destroys = [](std::unique_ptr<weft::manual_reset_event>& event) -> task<> {
            co_await event->wait();
            event.reset();
        };
        auto passes = [](weft::manual_reset_event& event) -> task<> { co_await event.wait(); };
        auto work = [&]() -> task<> {
            for (int round = 0; round < 3'000; ++round) {
                auto event = std::make_unique<weft::manual_reset_event>();
                weft::manual_reset_event& shared = *event;
                auto waiters = [&](weft::nursery& n) -> task<> {
                    n.spawn(destroys(event));
                    n.spawn(passes(shared));
                    n.spawn(passes(shared));
                    co_await weft::yield();
                    co_await weft::yield();
                    shared.set();
                };
                co_await weft::scope(waiters);
            }
        };
        weft::thread_pool alone({.workers = 1});  // here all of them wait when the event is set
        alone.block_on(work());
        auto one = [&]() -> task<> {
            for (int round = 0; round < 3'000; ++round) {
                auto event = std::make_unique<weft::manual_reset_event>();
                weft::manual_reset_event& shared = *event;
                auto waiter = [&](weft::nursery& n) -> task<> {
                    n.spawn(destroys(event));
                    co_await weft::yield();
                    shared.set();
                };
                co_await weft::scope(waiter);
            }
        };
        pool.block_on(one());
    }

    TEST_CASE("an event that is destroyed while a task waits aborts and says so") {
        auto const seen = weft::test::death_of([] {
            weft::thread_pool pool({.workers = 1});
            std::optional<weft::auto_reset_event> event;
            event.emplace();
            auto waits = [](weft::auto_reset_event& e) -> task<> { co_await e.wait(); };
            auto work = [&]() -> task<> {
                weft::spawn(waits(*event));
                co_await weft::yield();
                event.reset();
            };
            pool.block_on(work());
        });
        CHECK(weft::test::aborted_saying(seen, "an event is destroyed while tasks wait"));
    }

    TEST_CASE("a task without a runtime that would have to wait for an event aborts and says so") {
        auto const seen = weft::test::death_of([] {
            weft::manual_reset_event event;
            auto work = [](weft::manual_reset_event& e) -> task<> { co_await e.wait(); };
            weft::sync_wait(work(event));
        });
        CHECK(weft::test::aborted_saying(seen, "wait of an event needs a runtime"));
    }
}
