#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/scope/nursery.hpp>
#include <weft/runtime/scope/scope.hpp>
#include <weft/runtime/scope/stop_on.hpp>
#include <weft/runtime/time/sleep.hpp>
#include <weft/tests/support/counted.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <string>
#include <type_traits>

namespace {

using namespace std::chrono_literals;
using weft::nursery;
using weft::task;

task<> yields(int count) {
    for (int i = 0; i < count; ++i) {
        co_await weft::yield();
    }
}

task<> sleeps() {
    co_await weft::sleep_for(24h);
}

task<> fails(std::string text) {
    co_await weft::yield();
    throw std::runtime_error(text);
}

/// Runs `body` in a scope of a task of a pool.
template <class Body>
void run(Body body) {
    weft::thread_pool pool({.workers = 2});
    auto work = [&]() -> task<> { co_await weft::scope(body); };
    pool.block_on(work());
}

}  // namespace

TEST_SUITE("runtime/nursery_start") {
    TEST_CASE("children may be started from the workers of another runtime") {
        weft::thread_pool pool({.workers = 2});
        weft::thread_pool other({.workers = 8});
        std::atomic<int> ended = 0;
        auto child = [&]() -> task<> {
            co_await weft::yield();
            ++ended;
        };
        auto work = [&]() -> task<> {
            auto body = [&](nursery& n) -> task<> {
                std::atomic<int> started = 0;
                auto starts = [&]() -> task<> {
                    n.spawn_without_handle(child());
                    ++started;
                    co_return;
                };
                for (int i = 0; i < 400; ++i) {
                    n.spawn_without_handle(child());
                    other.spawn(starts());
                }
                while (started < 400) {
                    co_await weft::yield();
                }
            };
            co_await weft::scope(body);
        };
        pool.block_on(work());
        CHECK(ended == 800);
    }

    TEST_CASE("a grace that is asked for by a clean-up, when the last child has ended, is over") {
        weft::thread_pool pool({.workers = 2});
        auto work = []() -> task<> {
            auto body = [](nursery& n) -> task<> {
                auto cleanup = [&n]() -> task<> {
                    n.request_stop("late", {.grace = 24h});
                    co_return;
                };
                n.defer(cleanup);
                co_return;
            };
            co_await weft::scope(body);
        };
        pool.block_on(work());
        CHECK(weft::detail::frame_pool::live_frames() == 0);
    }

    TEST_CASE(
        "a supervisor scope that is stopped does not go on because of an error joined before") {
        weft::thread_pool pool({.workers = 2});
        bool went_on = false;
        weft::stop_source source;
        auto supervised = [&]() -> task<> {
            auto body = [&](nursery& n) -> task<> {
                auto handle = n.spawn(fails("broken"));
                try {
                    co_await handle;
                } catch (std::runtime_error const&) {
                    source.request_stop();
                }
                co_await sleeps();
            };
            co_await weft::supervisor_scope(body);
            went_on = true;
        };
        auto work = [&]() -> task<bool> {
            auto const ended =
                co_await (weft::with_stop_token(source.token(), supervised()) | weft::as_result);
            co_return !ended;
        };
        CHECK(pool.block_on(work()));
        CHECK_FALSE(went_on);
    }

    TEST_CASE("a child that is started without a handle ends before the scope does") {
        weft::test::object_count objects;
        std::atomic<int> ended = 0;
        auto child = [&](weft::test::counted) -> task<> {
            co_await weft::yield();
            ++ended;
        };
        auto body = [&](nursery& n) -> task<> {
            for (int i = 0; i < 200; ++i) {
                n.spawn_without_handle(child(weft::test::counted(objects)));
                n.spawn_without_handle(child, weft::test::counted(objects));
            }
            co_return;
        };
        run(body);
        CHECK(ended == 400);
        CHECK(objects.alive == 0);
        CHECK(weft::detail::frame_pool::live_frames() == 0);
    }

    TEST_CASE("the value of a child without a handle, and of a clean-up, is dropped") {
        std::atomic<int> ran = 0;
        auto give = [&]() -> task<int> { co_return ++ran; };
        auto body = [&](nursery& n) -> task<> {
            n.spawn_without_handle(give());
            n.spawn_without_handle(give);
            n.defer(give);
            co_return;
        };
        run(body);
        CHECK(ran == 3);
    }

    TEST_CASE("an error of a child without a handle stops its siblings and is the scope's") {
        auto body = [](nursery& n) -> task<> {
            n.spawn_without_handle(sleeps());
            n.spawn_without_handle(fails("broken"));
            n.spawn_without_handle(sleeps());
            co_return;
        };
        CHECK_THROWS_WITH(run(body), "broken");
    }

    TEST_CASE("a stop reaches children without handles") {
        std::atomic<int> went_on = 0;
        auto body = [&](nursery& n) -> task<> {
            auto child = [&]() -> task<> {
                co_await weft::sleep_for(24h);
                ++went_on;
            };
            for (int i = 0; i < 100; ++i) {
                n.spawn_without_handle(child);
            }
            co_await yields(3);
            n.request_stop();
        };
        run(body);
        CHECK(went_on == 0);
    }
}
