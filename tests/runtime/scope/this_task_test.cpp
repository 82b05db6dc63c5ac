#include <weft/runtime/scope/this_task.hpp>

#include <weft/runtime/join/when_all.hpp>
#include <weft/runtime/pool/runtime_base.hpp>
#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/scope/stop_on.hpp>
#include <weft/runtime/task/as_result.hpp>
#include <weft/runtime/time/timeout.hpp>
#include <weft/runtime/values/error.hpp>
#include <weft/tests/support/outcome.hpp>
#include <weft/tests/support/small_tasks.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <source_location>

using namespace std::chrono_literals;
using namespace weft::test;
using weft::stop_kind;
using weft::task;

namespace {

task<weft::deadline> deadline_here() {
    co_return co_await weft::this_task::deadline();
}

}  // namespace

TEST_SUITE("runtime/this_task") {
    TEST_CASE("a task without a timeout has no deadline") {
        weft::deadline const none = weft::sync_wait(deadline_here());
        CHECK_FALSE(none);
        CHECK(none.remaining() == weft::clock::duration::max());
        CHECK(none.time() == weft::clock::time_point::max());
    }

    TEST_CASE("everything below a timeout sees its deadline, through joins too") {
        weft::thread_pool pool({.workers = 2});
        auto work = []() -> task<bool> {
            auto below = []() -> task<bool> {
                auto const [a, b] = co_await weft::when_all(deadline_here(), deadline_here());
                weft::deadline const own = co_await weft::this_task::deadline();
                co_return own&& a == own&& b == own&& own.remaining() <= 1h &&
                    own.remaining() > 30min;
            };
            bool const seen = co_await weft::timeout(1h, below());
            weft::deadline const after = co_await weft::this_task::deadline();
            co_return seen && !after;
        };
        CHECK(pool.block_on(work()));
    }

    TEST_CASE("a deadline is only ever narrowed") {
        weft::thread_pool pool({.workers = 1});
        auto work = []() -> task<bool> {
            auto middle = []() -> task<bool> {
                weft::deadline const outer = co_await weft::this_task::deadline();
                weft::deadline const longer = co_await weft::timeout(2h, deadline_here());
                weft::deadline const shorter = co_await weft::timeout(1min, deadline_here());
                co_return longer == outer&& shorter.time() < outer.time();
            };
            bool const narrowed = co_await weft::timeout(1h, middle());
            co_return narrowed;
        };
        CHECK(pool.block_on(work()));
    }

    TEST_CASE("with_deadline sets the very time") {
        weft::thread_pool pool({.workers = 1});
        auto const time = weft::clock::now() + 3h;
        auto work = [&]() -> task<weft::deadline> {
            weft::deadline const seen = co_await weft::with_deadline(time, deadline_here());
            co_return seen;
        };
        CHECK(pool.block_on(work()).time() == time);
    }

    TEST_CASE("the longest limit there is lies in the future") {
        weft::thread_pool pool({.workers = 1});
        auto work = []() -> task<weft::clock::duration> {
            weft::deadline const seen =
                co_await weft::timeout(weft::clock::duration::max(), deadline_here());
            co_return seen.remaining();
        };
        CHECK(pool.block_on(work()) > std::chrono::hours(24 * 365));
    }

    TEST_CASE("stop_point unwinds without a runtime, too") {
        weft::stop_source source;
        auto work = [&]() -> task<int> {
            source.request_stop();
            co_await weft::this_task::stop_point();
            co_return 1;
        };
        CHECK(weft::sync_wait(outcome_under(source.token(), work())) == "stopped");
    }

    TEST_CASE("what remains of a deadline that has passed is nothing") {
        weft::thread_pool pool({.workers = 1});
        auto work = []() -> task<weft::deadline> {
            weft::deadline const seen =
                co_await weft::with_deadline(weft::clock::now() - 1s, deadline_here());
            co_return seen;
        };
        weft::deadline const passed = pool.block_on(work());
        CHECK(passed);
        CHECK(passed.remaining() == 0s);
    }

    TEST_CASE("a task that is asked to stop can see it, and why") {
        weft::thread_pool pool({.workers = 1});
        weft::stop_source source;
        auto work = [&]() -> task<int> {
            bool const before = co_await weft::this_task::stop_requested();
            auto const no_reason = co_await weft::this_task::stop_reason();
            source.request_stop(stop_kind::shutdown);
            bool const after = co_await weft::this_task::stop_requested();
            bool const softly = co_await weft::this_task::soft_stop_requested();
            auto const reason = co_await weft::this_task::stop_reason();
            auto const token = co_await weft::this_task::stop_token();
            co_return !before && !no_reason && after && softly &&
                    reason.kind() == stop_kind::shutdown && token.stop_requested()
                ? 1
                : 0;
        };
        CHECK(pool.block_on(outcome_under(source.token(), work())) == "value 1");
    }

    TEST_CASE("what a timeout stops sees its line as the reason") {
        weft::thread_pool pool({.workers = 1});
        weft::stop_reason seen;
        auto slow = [&]() -> task<int> {
            (void)co_await weft::as_result(forever());
            seen = co_await weft::this_task::stop_reason();
            co_return 1;
        };
        unsigned line = 0;
        auto work = [&]() -> task<int> {
            line = std::source_location::current().line() + 1;
            int const v = co_await weft::timeout(1ms, slow());
            co_return v;
        };
        CHECK(pool.block_on(work()) == 1);
        CHECK(seen.kind() == stop_kind::deadline);
        CHECK(seen.asked_at().line() == line);
    }

    TEST_CASE("stop_point unwinds a task that is asked to stop, and no other") {
        weft::thread_pool pool({.workers = 1});
        weft::stop_source source;
        auto work = [&](bool stop) -> task<int> {
            co_await weft::this_task::stop_point();
            if (stop) {
                source.request_stop();
            }
            co_await weft::this_task::stop_point();
            co_return 1;
        };
        CHECK(pool.block_on(outcome_under(source.token(), work(false))) == "value 1");
        CHECK(pool.block_on(outcome_under(source.token(), work(true))) == "stopped");
    }

    TEST_CASE("throw_if_stopped throws in a task that is asked to stop, and in no other") {
        weft::thread_pool pool({.workers = 1});
        weft::stop_source source;
        auto work = [&](bool stop) -> task<int> {
            co_await weft::this_task::throw_if_stopped();
            if (stop) {
                source.request_stop();
            }
            co_await weft::this_task::throw_if_stopped();
            co_return 1;
        };
        CHECK(pool.block_on(outcome_under(source.token(), work(false))) == "value 1");
        CHECK(pool.block_on(outcome_under(source.token(), work(true))) == "error cancelled");
    }
}
