#include <weft/runtime/scope/stop_on.hpp>

#include <weft/runtime/join/when_all.hpp>
#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/scope/this_task.hpp>
#include <weft/runtime/task/as_result.hpp>
#include <weft/runtime/task/call.hpp>
#include <weft/runtime/time/timeout.hpp>
#include <weft/tests/support/outcome.hpp>
#include <weft/tests/support/seed.hpp>
#include <weft/tests/support/small_tasks.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <thread>

using namespace std::chrono_literals;
using namespace weft::test;
using weft::stop_kind;
using weft::stop_source;
using weft::task;

namespace {

task<std::string> watched(weft::stop_token token, task<int> work) {
    std::string text;
    try {
        int const v = co_await weft::with_stop_token(token, std::move(work));
        text = "value " + std::to_string(v);
    } catch (std::exception const&) {
        text = "error " + text_of(std::current_exception());
    }
    co_return text;
}

/// Waits for the stop on the way, then tells why it came.
task<int> reason_seen(weft::stop_reason& seen) {
    auto wait = []() -> task<> { co_await weft::sleep_for(24h); };
    auto const ended = co_await weft::as_result(wait());
    seen = co_await weft::this_task::stop_reason();
    co_return ended.has_value() ? 0 : 1;
}

}  // namespace

TEST_SUITE("runtime/stop_on") {
    TEST_CASE("without a stop the task's value and error pass through") {
        weft::thread_pool pool({.workers = 1});
        stop_source source;
        CHECK(pool.block_on(watched(source.token(), value(3))) == "value 3");
        CHECK(pool.block_on(watched(source.token(), fails("broken"))) == "error broken");
        CHECK(pool.block_on(watched(weft::stop_token(), value(4))) == "value 4");
    }

    TEST_CASE("a token that was stopped before ends the task at its first wait") {
        weft::thread_pool pool({.workers = 1});
        stop_source source;
        source.request_stop();
        CHECK(pool.block_on(watched(source.token(), forever())) == "error cancelled");
        CHECK(pool.block_on(watched(source.token(), value(5))) == "value 5");
    }

    TEST_CASE("a stop through the token ends the wait, and the surrounding task goes on") {
        weft::thread_pool pool({.workers = 2});
        stop_source source;
        std::atomic<bool> started = false;
        std::thread requester([&] {
            while (!started) {
                std::this_thread::yield();
            }
            source.request_stop();
        });
        CHECK(pool.block_on(watched(source.token(), announced_forever(started))) ==
              "error cancelled");
        requester.join();
    }

    TEST_CASE("the task sees the reason that was given to the token's source") {
        weft::thread_pool pool({.workers = 1});
        stop_source source;
        source.request_stop(weft::stop_reason(stop_kind::shutdown, "enough"));
        weft::stop_reason seen;
        CHECK(pool.block_on(watched(source.token(), reason_seen(seen))) == "value 1");
        CHECK(seen.kind() == stop_kind::shutdown);
        CHECK(std::string_view(seen.text()) == "enough");
    }

    TEST_CASE("a stop of the surrounding task unwinds it") {
        weft::thread_pool pool({.workers = 1});
        stop_source outer;
        stop_source inner;
        outer.request_stop();
        auto work = [&]() -> task<int> {
            int const v = co_await weft::with_stop_token(inner.token(), forever());
            co_return v;
        };
        CHECK(pool.block_on(outcome_under(outer.token(), work())) == "stopped");
    }

    TEST_CASE("the result form gives operation_canceled for the token's stop") {
        weft::thread_pool pool({.workers = 1});
        stop_source source;
        source.request_stop();
        auto work = [&]() -> task<bool> {
            auto const ended =
                co_await (weft::with_stop_token(source.token(), forever()) | weft::as_result);
            co_return ended.error() == std::errc::operation_canceled;
        };
        CHECK(pool.block_on(work()));
    }

    TEST_CASE("where nobody can ask softly, until_soft_stop ends with the stop") {
        weft::thread_pool pool({.workers = 1});
        stop_source source;
        source.request_stop();
        auto work = []() -> task<int> {
            int const v = co_await weft::until_soft_stop(forever());
            co_return v;
        };
        CHECK(pool.block_on(outcome_under(source.token(), work())) == "stopped");
        auto unstopped = []() -> task<int> {
            int const v = co_await weft::until_soft_stop(value(7));
            co_return v;
        };
        CHECK(pool.block_on(unstopped()) == 7);
    }

    TEST_CASE("a stop that races the end of the task loses no value and leaves nothing behind") {
        auto const seed = fresh_seed();
        CAPTURE(seed);
        random_numbers random(seed);
        weft::thread_pool pool({.workers = 2});
        int values = 0;
        int stops = 0;
        for (int round = 0; round < 10'000; ++round) {
            stop_source source;
            std::atomic<bool> started = false;
            auto work = [&]() -> task<int> {
                started = true;
                co_await weft::yield();
                co_await weft::yield();
                co_return 1;
            };
            std::uint64_t const spins = random.below(200);
            std::string outcome;
            auto run = [&]() -> task<> { outcome = co_await watched(source.token(), work()); };
            auto request = [&]() -> task<> {
                for (std::uint64_t i = 0; i < spins; ++i) {
                    (void)started.load();
                }
                source.request_stop();
                co_return;
            };
            auto both = [&]() -> task<> { co_await weft::when_all(run(), request()); };
            pool.block_on(both());
            (outcome == "value 1" ? values : stops) += 1;
            CHECK((outcome == "value 1" || outcome == "error cancelled"));
        }
        CHECK(values + stops == 10'000);
        CHECK(weft::detail::frame_pool::live_frames() == 0);
    }
}
