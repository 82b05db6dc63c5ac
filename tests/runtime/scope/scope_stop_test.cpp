#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/scope/scope.hpp>
#include <weft/runtime/scope/shielded.hpp>
#include <weft/runtime/scope/stop_on.hpp>
#include <weft/runtime/task/as_result.hpp>
#include <weft/runtime/testing/test_runtime.hpp>
#include <weft/runtime/time/sleep.hpp>
#include <weft/tests/support/counted.hpp>
#include <weft/tests/support/outcome.hpp>
#include <weft/tests/support/small_tasks.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <string>

using namespace std::chrono_literals;
using namespace weft::test;
using weft::nursery;
using weft::stop_source;
using weft::task;

namespace {

task<> sleeps() {
    co_await weft::sleep_for(24h);
}

/// Ends when nothing is left that `objects` counts; no stop reaches it.
task<> waits_for_the_last(object_count& objects) {
    auto wait = [&]() -> task<> {
        while (objects.alive != 0) {
            co_await weft::yield();
        }
    };
    co_await weft::shielded(24h, wait());
}

}  // namespace

TEST_SUITE("runtime/scope_stop") {
    TEST_CASE("what a stopped body holds is gone before its children have ended") {
        weft::thread_pool pool({.workers = 2});
        object_count objects;
        stop_source source;
        auto work = [&]() -> task<int> {
            auto body = [&](nursery& n) -> task<> {
                counted const held(objects);
                n.spawn(waits_for_the_last(objects));
                source.request_stop();
                co_await weft::sleep_for(24h);
            };
            co_await weft::scope(body);
            co_return 1;
        };
        CHECK(pool.block_on(outcome_under(source.token(), work())) == "stopped");
        CHECK(objects.alive == 0);
    }

    TEST_CASE("a stopped body may start children and clean-ups from a destructor") {
        weft::thread_pool pool({.workers = 2});
        int cleaned = 0;
        stop_source source;
        auto work = [&]() -> task<int> {
            auto body = [&](nursery& n) -> task<> {
                auto cleanup = [&]() -> task<> {
                    ++cleaned;
                    co_return;
                };
                struct guard {
                    ~guard() {
                        owner.spawn_without_handle(sleeps());
                        owner.defer(last);
                    }

                    nursery& owner;
                    decltype(cleanup)& last;
                };
                guard const at_end{n, cleanup};
                source.request_stop();
                co_await weft::sleep_for(24h);
            };
            co_await weft::scope(body);
            co_return 1;
        };
        CHECK(pool.block_on(outcome_under(source.token(), work())) == "stopped");
        CHECK(cleaned == 1);
    }

    TEST_CASE("a body's value stays, though a child was cancelled by hand and a stop came later") {
        weft::thread_pool pool({.workers = 1});
        stop_source source;
        auto scoped = [&]() -> task<int> {
            auto body = [&](nursery& n) -> task<int> {
                auto handle = n.spawn(sleeps());
                co_await weft::yield();
                handle.request_stop();
                (void)co_await (handle | weft::as_result);
                source.request_stop();
                co_return 42;
            };
            int const v = co_await weft::scope(body);
            co_return v;
        };
        CHECK(pool.block_on(outcome_under(source.token(), scoped())) == "value 42");
    }

    TEST_CASE("a scope's own grace counts, though the surroundings were asked softly before") {
        weft::test::runtime rt;
        auto const start = rt.now();
        auto outer = [](nursery& all) -> task<> {
            all.request_stop("drain", {.grace = 60min});
            auto inner = [](nursery& session) -> task<> {
                session.spawn(sleeps());
                session.request_stop("drain", {.grace = 1min});
                co_return;
            };
            co_await weft::scope(inner);
        };
        auto work = [&]() -> task<> { co_await weft::scope(outer); };
        rt.block_on(work());
        CHECK(std::chrono::round<std::chrono::minutes>(rt.now() - start) == 1min);
    }

    TEST_CASE("the first grace is the one that counts") {
        weft::test::runtime rt;
        auto const start = rt.now();
        bool first = false;
        bool second = true;
        auto body = [&](nursery& n) -> task<> {
            n.spawn(sleeps());
            first = n.request_stop("drain", {.grace = 2min});
            second = n.request_stop("again", {.grace = 1min});
            co_return;
        };
        auto work = [&]() -> task<> { co_await weft::scope(body); };
        rt.block_on(work());
        CHECK(first);
        CHECK_FALSE(second);
        CHECK(std::chrono::round<std::chrono::minutes>(rt.now() - start) == 2min);
    }
}
