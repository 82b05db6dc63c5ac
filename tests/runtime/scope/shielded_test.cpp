#include <weft/runtime/scope/shielded.hpp>

#include <weft/runtime/join/when_all.hpp>
#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/scope/stop_on.hpp>
#include <weft/runtime/scope/this_task.hpp>
#include <weft/runtime/task/as_result.hpp>
#include <weft/runtime/time/timeout.hpp>
#include <weft/tests/support/outcome.hpp>
#include <weft/tests/support/seed.hpp>
#include <weft/tests/support/small_tasks.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>

using namespace std::chrono_literals;
using namespace weft::test;
using weft::stop_kind;
using weft::stop_source;
using weft::task;

namespace {

task<int> shield(weft::clock::duration limit, task<int> work) {
    int const v = co_await weft::shielded(limit, std::move(work));
    co_return v;
}

/// The same with an await behind the shield that a stop ends.
task<int> shield_and_go_on(weft::clock::duration limit, task<int> work, bool& went_on) {
    int const v = co_await weft::shielded(limit, std::move(work));
    went_on = true;
    co_await weft::yield();
    co_return v;
}

}  // namespace

TEST_SUITE("runtime/shielded") {
    TEST_CASE("without a stop the body's value and error pass through") {
        weft::thread_pool pool({.workers = 2});
        CHECK(pool.block_on(shield(1ms, value(3))) == 3);
        CHECK(pool.block_on(shield(1ns, value_after(2ms, 4))) == 4);
        CHECK_THROWS_WITH(pool.block_on(shield(1ms, fails("broken"))), "broken");
    }

    TEST_CASE(
        "a body that is done within the limit after the stop delivers; the next await stops") {
        weft::thread_pool pool({.workers = 2});
        stop_source before;
        before.request_stop();
        bool went_on = false;
        CHECK(pool.block_on(outcome_under(before.token(),
                                          shield_and_go_on(24h, value_after(1ms, 1), went_on))) ==
              "stopped");
        CHECK(went_on);

        stop_source during;
        auto stops_and_waits = [&]() -> task<int> {
            during.request_stop();
            co_await weft::sleep_for(1ms);
            bool const hidden = !(co_await weft::this_task::stop_requested());
            co_return hidden ? 5 : 0;
        };
        CHECK(pool.block_on(outcome_under(during.token(), shield(24h, stops_and_waits()))) ==
              "value 5");
    }

    TEST_CASE("an error of the body within the limit is delivered") {
        weft::thread_pool pool({.workers = 1});
        stop_source source;
        source.request_stop();
        CHECK(pool.block_on(outcome_under(source.token(), shield(24h, fails_after(1ms, "late")))) ==
              "error late");
    }

    TEST_CASE("a body that outlasts the limit is stopped, for the reason of the stop") {
        weft::thread_pool pool({.workers = 2});
        stop_source source;
        weft::stop_reason seen;
        auto body = [&]() -> task<int> {
            source.request_stop(stop_kind::shutdown);
            (void)co_await weft::as_result(forever());
            seen = co_await weft::this_task::stop_reason();
            co_await weft::yield();
            co_return 1;
        };
        CHECK(pool.block_on(outcome_under(source.token(), shield(1ms, body()))) == "stopped");
        CHECK(seen.kind() == stop_kind::shutdown);
    }

    TEST_CASE("a stop that came before the shield counts from its beginning") {
        weft::thread_pool pool({.workers = 1});
        stop_source source;
        source.request_stop();
        CHECK(pool.block_on(outcome_under(source.token(), shield(1ms, forever()))) == "stopped");
    }

    TEST_CASE("a deadline is hidden like any other stop") {
        weft::thread_pool pool({.workers = 1});
        bool had_deadline = true;
        auto body = [&]() -> task<int> {
            had_deadline = static_cast<bool>(co_await weft::this_task::deadline());
            co_await weft::sleep_for(5ms);
            co_return 2;
        };
        auto work = [&]() -> task<int> {
            int const v = co_await weft::timeout(1ms, shield(24h, body()));
            co_return v;
        };
        CHECK(pool.block_on(work()) == 2);
        CHECK_FALSE(had_deadline);
    }

    TEST_CASE("a shield within a shield adds its own limit") {
        weft::thread_pool pool({.workers = 1});
        stop_source source;
        source.request_stop();
        CHECK(pool.block_on(outcome_under(
                  source.token(), shield(1ms, shield(24h, value_after(5ms, 6))))) == "value 6");
    }

    TEST_CASE("stops, limits and ends that race leave neither a timer nor a frame behind") {
        auto const seed = fresh_seed();
        CAPTURE(seed);
        random_numbers random(seed);
        {
            weft::thread_pool pool({.workers = 2});
            auto hops = [](std::uint64_t count) -> task<int> {
                for (std::uint64_t i = 0; i < count; ++i) {
                    co_await weft::yield();
                }
                co_await weft::sleep_for(std::chrono::microseconds(count));
                co_return 1;
            };
            auto request = [](stop_source& source, std::uint64_t count) -> task<> {
                for (std::uint64_t i = 0; i < count; ++i) {
                    co_await weft::yield();
                }
                source.request_stop();
            };
            auto round = [&]() -> task<bool> {
                stop_source source;
                auto const limit = std::chrono::microseconds(random.below(8));
                std::string outcome;
                auto run = [&]() -> task<> {
                    outcome = co_await outcome_under(source.token(),
                                                     shield(limit, hops(random.below(6))));
                };
                co_await weft::when_all(run(), request(source, random.below(8)));
                co_return outcome == "value 1" || outcome == "stopped";
            };
            auto all = [&]() -> task<int> {
                int good = 0;
                for (int i = 0; i < 10'000; ++i) {
                    good += co_await round() ? 1 : 0;
                }
                co_return good;
            };
            CHECK(pool.block_on(all()) == 10'000);
        }
        CHECK(weft::detail::frame_pool::live_frames() == 0);
    }
}
