#include <weft/runtime/scope/finally.hpp>

#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/scope/stop_on.hpp>
#include <weft/runtime/scope/this_task.hpp>
#include <weft/runtime/task/as_result.hpp>
#include <weft/runtime/task/exception_group.hpp>
#include <weft/tests/support/counted.hpp>
#include <weft/tests/support/outcome.hpp>
#include <weft/tests/support/small_tasks.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <stdexcept>
#include <string>
#include <vector>

using namespace std::chrono_literals;
using namespace weft::test;
using weft::stop_source;
using weft::task;

namespace {

/// Awaits, so that a stop that reached it would be seen.
task<> clean(int& cleaned) {
    co_await weft::yield();
    co_await weft::sleep_for(1ms);
    ++cleaned;
}

task<> breaks(char const* text) {
    co_await weft::yield();
    throw std::runtime_error(text);
}

task<> never_ends() {
    co_await weft::sleep_for(24h);
}

}  // namespace

TEST_SUITE("runtime/finally") {
    TEST_CASE("the clean-up runs after a value, after an error and after a stop") {
        weft::thread_pool pool({.workers = 2});
        int cleaned = 0;
        CHECK(pool.block_on(outcome_of(weft::finally(value(3), clean(cleaned)))) == "value 3");
        CHECK(cleaned == 1);
        CHECK(pool.block_on(outcome_of(weft::finally(fails("broken"), clean(cleaned)))) ==
              "error broken");
        CHECK(cleaned == 2);
        stop_source source;
        source.request_stop();
        CHECK(pool.block_on(outcome_under(source.token(),
                                          weft::finally(forever(), clean(cleaned)))) == "stopped");
        CHECK(cleaned == 3);
    }

    TEST_CASE("a body that a stop does not reach delivers its value, after the clean-up") {
        weft::thread_pool pool({.workers = 1});
        stop_source source;
        source.request_stop();
        int cleaned = 0;
        CHECK(pool.block_on(outcome_under(source.token(),
                                          weft::finally(value(4), clean(cleaned)))) == "value 4");
        CHECK(cleaned == 1);
    }

    TEST_CASE("what a stopped body had is gone when the clean-up begins") {
        weft::thread_pool pool({.workers = 1});
        stop_source source;
        source.request_stop();
        object_count objects;
        int left = -1;
        auto body = [&]() -> task<int> {
            counted const held(objects);
            co_await weft::sleep_for(24h);
            co_return 0;
        };
        auto look = [&]() -> task<> {
            left = objects.alive;
            co_return;
        };
        CHECK(pool.block_on(outcome_under(source.token(), weft::finally(body(), look()))) ==
              "stopped");
        CHECK(left == 0);
    }

    TEST_CASE("clean-ups run from the inside out") {
        weft::thread_pool pool({.workers = 1});
        stop_source source;
        source.request_stop();
        std::vector<int> order;
        auto note = [&](int which) -> task<> {
            co_await weft::yield();
            order.push_back(which);
        };
        auto inner = weft::finally(forever(), note(1));
        CHECK(pool.block_on(outcome_under(source.token(),
                                          weft::finally(std::move(inner), note(2)))) == "stopped");
        CHECK(order == std::vector<int>{1, 2});
    }

    TEST_CASE("a clean-up has a deadline of its own, and fails with it") {
        weft::thread_pool pool({.workers = 1});
        CHECK(pool.block_on(outcome_of(weft::finally(value(1), 1ms, never_ends()))) ==
              "error timed out");
        stop_source source;
        source.request_stop();
        CHECK(pool.block_on(
                  outcome_under(source.token(), weft::finally(forever(), 1ms, never_ends()))) ==
              "error timed out");
    }

    TEST_CASE("the clean-up sees its own deadline and no stop") {
        weft::thread_pool pool({.workers = 1});
        stop_source source;
        source.request_stop();
        bool stopped = true;
        weft::deadline seen;
        auto look = [&]() -> task<> {
            stopped = co_await weft::this_task::stop_requested();
            seen = co_await weft::this_task::deadline();
        };
        CHECK(pool.block_on(outcome_under(source.token(), weft::finally(forever(), 1h, look()))) ==
              "stopped");
        CHECK_FALSE(stopped);
        CHECK(seen.remaining() > 30min);
        CHECK(seen.remaining() <= 1h);
    }

    TEST_CASE("an error of the clean-up alone is the outcome") {
        weft::thread_pool pool({.workers = 1});
        CHECK(pool.block_on(outcome_of(weft::finally(value(1), breaks("sweep")))) == "error sweep");
        stop_source source;
        source.request_stop();
        CHECK(pool.block_on(outcome_under(
                  source.token(), weft::finally(forever(), breaks("sweep")))) == "error sweep");
    }

    TEST_CASE("the errors of the body and of the clean-up come together") {
        weft::thread_pool pool({.workers = 1});
        std::vector<std::string> texts;
        try {
            (void)pool.block_on(weft::finally(fails("broken"), breaks("sweep")));
        } catch (weft::exception_group const& both) {
            for (std::exception_ptr const& each : both.errors()) {
                texts.push_back(text_of(each));
            }
        }
        CHECK(texts == std::vector<std::string>{"broken", "sweep"});
    }

    TEST_CASE("a callable makes the clean-up when its time has come, and lives as long") {
        weft::thread_pool pool({.workers = 1});
        std::string order;
        auto body = [&]() -> task<int> {
            order += 'b';
            co_return 1;
        };
        auto cleanup = [&order, text = std::string("long enough to be on the heap")]() -> task<> {
            order += 'c';
            co_await weft::yield();
            order += text.empty() ? '-' : '+';
        };
        CHECK(pool.block_on(weft::finally(body(), cleanup)) == 1);
        CHECK(order == "bc+");
    }

    TEST_CASE("the value of a clean-up is dropped") {
        int cleaned = 0;
        auto clean_up = [&]() -> task<int> { co_return ++cleaned; };
        auto body = []() -> task<int> { co_return 5; };
        weft::thread_pool pool({.workers = 1});
        CHECK(pool.block_on(weft::finally(body, clean_up)) == 5);
        CHECK(pool.block_on(weft::finally(body(), clean_up())) == 5);
        CHECK(cleaned == 2);
    }

    TEST_CASE("a task that is never awaited runs neither body nor clean-up") {
        int cleaned = 0;
        {
            auto const unused = weft::finally(value(1), clean(cleaned));
        }
        CHECK(cleaned == 0);
        CHECK(weft::detail::frame_pool::live_frames() == 0);
    }
}
