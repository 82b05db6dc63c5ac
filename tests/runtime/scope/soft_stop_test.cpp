#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/scope/nursery.hpp>
#include <weft/runtime/scope/scope.hpp>
#include <weft/runtime/scope/this_task.hpp>
#include <weft/runtime/testing/test_runtime.hpp>
#include <weft/runtime/time/sleep.hpp>
#include <weft/runtime/time/timeout.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <thread>
#include <utility>

namespace {

using namespace std::chrono_literals;
using weft::nursery;
using weft::task;

task<> sleeps() {
    co_await weft::sleep_for(24h);
}

/// Many times: scopes with a child that nothing but the stop by another thread brings to its end.
template <class Child, class Stop>
void stop_from_outside(Child child, Stop stop) {
    weft::thread_pool pool({.workers = 2});
    for (int round = 0; round < 1'000; ++round) {
        std::atomic<nursery*> open{nullptr};
        std::thread other([&] {
            open.wait(nullptr);
            stop(*open.load());
        });
        auto body = [&](nursery& n) -> task<> {
            n.spawn_without_handle(child());
            open = &n;
            open.notify_one();
            co_return;
        };
        auto work = [&]() -> task<> { co_await weft::scope(std::ref(body)); };
        pool.block_on(work());
        other.join();
    }
    CHECK(pool.task_count() == 0);
}

}  // namespace

TEST_SUITE("runtime/soft_stop") {
    TEST_CASE("children that hear the soft stop come to their end; the others are stopped later") {
        weft::test::runtime pool;
        bool polite = false;
        auto const begin = pool.now();
        auto work = [&]() -> task<> {
            auto body = [&](nursery& n) -> task<> {
                auto listens = [&]() -> task<> {
                    bool asked = false;
                    while (!asked) {
                        co_await weft::sleep_for(1s);
                        asked = co_await weft::this_task::soft_stop_requested();
                    }
                    polite = true;
                };
                n.spawn(listens);
                n.spawn(sleeps());
                CHECK(n.request_stop("draining", {.grace = 5s}));
                CHECK(!n.request_stop("again", {.grace = 1h}));
                CHECK(n.soft_token().stop_requested());
                CHECK(!n.token().stop_requested());
                co_return;
            };
            co_await weft::scope(body);
        };
        pool.block_on(work());
        CHECK(polite);
        CHECK(std::chrono::round<std::chrono::seconds>(pool.now() - begin) == 5s);
    }

    TEST_CASE("who hears the soft half of a stop without grace knows of the hard one") {
        weft::thread_pool pool({.workers = 1});
        // The surroundings of a nursery: another one, or something that nobody can ask softly.
        auto heard_in = [&](auto surroundings) {
            int heard = 0;
            auto work = [&]() -> task<> {
                auto outer = [&](nursery& above) -> task<> {
                    auto inner = [&](nursery& n) -> task<> {
                        auto on_soft_stop = [&] { heard += n.token().stop_requested() ? 1 : -1; };
                        weft::stop_callback const listens(n.soft_token(), on_soft_stop);
                        above.request_stop();
                        co_return;
                    };
                    co_await surroundings(inner);
                };
                co_await weft::scope(outer);
            };
            pool.block_on(work());
            return heard;
        };
        auto nested = [](auto& inner) -> task<> { co_await weft::scope(std::ref(inner)); };
        CHECK(heard_in(nested) == 1);
        auto alone = [&](auto& inner) -> task<> {
            auto scope = nested(inner);
            co_await weft::with_deadline(weft::clock::now() + 1h, std::move(scope));
        };
        CHECK(heard_in(alone) == 1);
    }

    TEST_CASE("a scope may end before the thread that has stopped it is through") {
        auto polls = []() -> task<> {
            for (;;) {
                co_await weft::yield();
            }
        };
        stop_from_outside(polls, [](nursery& n) { n.request_stop(); });
    }

    TEST_CASE("a scope may end before the thread that has softly stopped it is through") {
        auto listens = []() -> task<> {
            while (!co_await weft::this_task::soft_stop_requested()) {
                co_await weft::yield();
            }
        };
        stop_from_outside(listens, [](nursery& n) { n.request_stop("drain", {.grace = 24h}); });
    }
}
