#include <weft/runtime/pool/runtime_base.hpp>

#include <weft/runtime/core/frame_pool.hpp>
#include <weft/runtime/pool/blocking.hpp>
#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/scope/cancel_after.hpp>
#include <weft/runtime/scope/stop_on.hpp>
#include <weft/runtime/task/as_result.hpp>
#include <weft/runtime/testing/test_runtime.hpp>
#include <weft/runtime/time/sleep.hpp>
#include <weft/tests/support/counted.hpp>
#include <weft/tests/support/death.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include <unistd.h>

namespace {

using namespace std::chrono_literals;
using weft::operation_cancelled;
using weft::task;
using weft::thread_pool;
using weft::test::aborted_saying;
using weft::test::death_of;

task<> counts(std::atomic<int>& count, int turns) {
    for (int i = 0; i < turns; ++i) {
        co_await weft::yield();
    }
    ++count;
}

/// A task that spawns the next one when it ends.
task<> spawns_on(std::atomic<int>& count, int generations) {
    co_await weft::yield();
    ++count;
    if (generations > 1) {
        weft::spawn(spawns_on(count, generations - 1));
    }
}

task<> sleeps(std::chrono::seconds length, std::atomic<int>& ended) {
    co_await weft::sleep_for(length);
    ++ended;
}

}  // namespace

TEST_SUITE("runtime/runtime_base") {
    TEST_CASE("join waits for every task, those that start meanwhile included") {
        for (unsigned const workers : {1U, 2U}) {
            std::atomic<int> count = 0;
            thread_pool pool({.workers = workers});
            for (int i = 0; i < 100; ++i) {
                pool.spawn(counts(count, i));
            }
            pool.spawn(spawns_on(count, 50));
            pool.join();
            CHECK(count == 150);
            CHECK(pool.task_count() == 0);
        }
    }

    TEST_CASE("join waits for block_on in another thread") {
        thread_pool pool({.workers = 1});
        std::atomic<bool> has_begun = false;
        std::atomic<bool> has_ended = false;
        auto work = [&]() -> task<> {
            has_begun = true;
            has_begun.notify_one();
            for (int i = 0; i < 10'000; ++i) {
                co_await weft::yield();
            }
            weft::stop_source source;
            weft::cancel_after const later(1h, source);  // a task under the root scope
            has_ended = true;
        };
        std::thread other([&] { pool.block_on(work()); });
        has_begun.wait(false);
        pool.join();
        CHECK(has_ended);
        other.join();
    }

    TEST_CASE("a task that is spawned after the end is destroyed, and its handle says stopped") {
        std::size_t const frames = weft::detail::frame_pool::live_frames();
        weft::test::object_count objects;
        {
            thread_pool pool({.workers = 2});
            pool.join();
            auto holds = [](weft::test::counted held) -> task<int> { co_return held.value; };
            auto late = pool.spawn(holds(weft::test::counted(objects, 1)));
            CHECK(late.is_done());
            CHECK(objects.alive == 0);
            CHECK_FALSE(late.request_stop());
            pool.spawn(holds(weft::test::counted(objects, 2)));
            CHECK(pool.task_count() == 0);
        }
        CHECK(objects.alive == 0);
        CHECK(weft::detail::frame_pool::live_frames() == frames);
    }

    TEST_CASE("block_on after the end starts nothing and throws operation_cancelled") {
        thread_pool pool({.workers = 1});
        pool.shutdown();
        std::atomic<int> count = 0;
        CHECK_THROWS_AS(pool.block_on(counts(count, 0)), operation_cancelled);
        CHECK(count == 0);
    }

    TEST_CASE("a spawn that races the end runs to its own end, or never starts") {
        for (int round = 0; round < 200; ++round) {
            std::atomic<int> count = 0;
            thread_pool pool({.workers = 1});
            weft::join_handle<> handle;
            std::thread other([&] { handle = pool.spawn(counts(count, 0)); });
            pool.join();
            int const at_end = count;
            other.join();
            CHECK(handle.is_done());
            CHECK(count == at_end);
        }
    }

    TEST_CASE("shutdown stops what waits, and does so for whoever asks at once") {
        for (int round = 0; round < 50; ++round) {
            std::atomic<int> ended = 0;
            thread_pool pool({.workers = 2});
            for (int i = 0; i < 10; ++i) {
                pool.spawn(sleeps(24h, ended));
            }
            std::vector<std::thread> all;
            for (int i = 0; i < 3; ++i) {
                all.emplace_back([&] { pool.shutdown(); });
                all.emplace_back([&] { pool.join(); });
            }
            pool.shutdown(24h);
            CHECK(pool.task_count() == 0);
            for (std::thread& each : all) {
                each.join();
            }
            CHECK(ended == 0);
        }
    }

    TEST_CASE("shutdown asks softly first, and for good when the grace is over") {
        weft::test::runtime rt;
        std::atomic<int> ended = 0;
        std::atomic<int> softly_stopped = 0;
        auto listens = [&]() -> task<> {
            auto const rest =
                co_await (weft::until_soft_stop(sleeps(24h, ended)) | weft::as_result);
            softly_stopped += rest ? 0 : 1;
            co_await weft::sleep_for(2s);
            ++softly_stopped;
        };
        rt.spawn(listens());
        rt.spawn(sleeps(4s, ended));
        rt.spawn(sleeps(6s, ended));
        rt.advance(0s);
        auto const start = rt.now();
        rt.shutdown(5s);
        CHECK(softly_stopped == 2);
        CHECK(ended == 1);
        CHECK(std::chrono::round<std::chrono::milliseconds>(rt.now() - start) == 5s);
    }

    TEST_CASE("join lets virtual time move until the last task has ended") {
        weft::test::runtime rt;
        std::atomic<int> ended = 0;
        rt.spawn(sleeps(1h, ended));
        rt.spawn(sleeps(24h, ended));
        auto const start = rt.now();
        rt.join();
        CHECK(ended == 2);
        CHECK(std::chrono::round<std::chrono::seconds>(rt.now() - start) == 24h);
    }

    TEST_CASE("join and shutdown abort on a worker") {
        auto const joins = death_of([] {
            thread_pool pool({.workers = 1});
            auto work = [&]() -> task<> {
                pool.join();
                co_return;
            };
            pool.block_on(work());
        });
        CHECK(aborted_saying(joins, "a runtime is joined in a task of it"));
        auto const shuts_down = death_of([] {
            thread_pool pool({.workers = 1});
            auto work = [&]() -> task<> {
                pool.shutdown();
                co_return;
            };
            pool.block_on(work());
        });
        CHECK(aborted_saying(shuts_down, "a runtime is shut down in a task of it"));
    }

    TEST_CASE("a runtime that is destroyed on one of its own workers aborts with the reason") {
        auto const seen = death_of([] {
            auto pool = std::make_unique<thread_pool>(weft::thread_pool_options{.workers = 1});
            auto work = [&]() -> task<> {
                pool.reset();
                co_return;
            };
            pool->spawn(work());
            ::pause();
        });
        CHECK(aborted_saying(seen, "a runtime is destroyed in a task of it"));
        auto const virtual_time = death_of([] {
            auto rt = std::make_unique<weft::test::runtime>();
            auto work = [&]() -> task<> {
                rt.reset();
                co_return;
            };
            rt->spawn(work());
            ::pause();
        });
        CHECK(aborted_saying(virtual_time, "a runtime is destroyed in a task of it"));
    }

    TEST_CASE("exit in a task aborts with the reason where it would destroy the runtime") {
        auto const seen = death_of([] {
            static std::optional<thread_pool> pool;
            pool.emplace(weft::thread_pool_options{.workers = 1});
            auto work = []() -> task<> {
                std::exit(0);  // NOLINT(concurrency-mt-unsafe): that is the point
                co_return;
            };
            pool->spawn(work());
            ::pause();
        });
        CHECK(aborted_saying(seen, "do not call exit() in a task"));
    }

    TEST_CASE("exit in a blocking call aborts with the reason, for the same cause") {
        auto const seen = death_of([] {
            static std::optional<thread_pool> pool;
            pool.emplace(weft::thread_pool_options{.workers = 1});
            auto work = []() -> task<> {
                co_await weft::blocking([] { std::exit(0); });  // NOLINT(concurrency-mt-unsafe)
            };
            pool->spawn(work());
            ::pause();
        });
        CHECK(
            aborted_saying(seen, "a runtime is destroyed in a task of it, or in a blocking call"));
    }

    TEST_CASE("a worker of one runtime may destroy another") {
        thread_pool outer({.workers = 1});
        std::atomic<int> ended = 0;
        auto work = [&]() -> task<> {
            auto inner = std::make_unique<thread_pool>(weft::thread_pool_options{.workers = 1});
            inner->spawn(sleeps(24h, ended));
            inner.reset();
            co_return;
        };
        outer.block_on(work());
        CHECK(ended == 0);
    }
}
