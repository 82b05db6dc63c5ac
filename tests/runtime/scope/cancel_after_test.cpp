#include <weft/runtime/scope/cancel_after.hpp>

#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/scope/scope.hpp>
#include <weft/runtime/scope/stop_on.hpp>
#include <weft/runtime/task/as_result.hpp>
#include <weft/runtime/testing/test_runtime.hpp>
#include <weft/tests/support/outcome.hpp>
#include <weft/tests/support/seed.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <optional>
#include <thread>

namespace {

using namespace std::chrono_literals;
using weft::cancel_after;
using weft::nursery;
using weft::stop_source;
using weft::task;
using weft::detail::frame_pool;
using weft::test::runtime;

task<int> sleeps(weft::clock::duration length) {
    co_await weft::sleep_for(length);
    co_return 1;
}

weft::clock::duration rounded(weft::clock::duration length) {
    return std::chrono::round<std::chrono::milliseconds>(length);
}

}  // namespace

TEST_SUITE("runtime/cancel_after") {
    TEST_CASE("a source is stopped when the time has come, for that reason and by that line") {
        runtime rt;
        stop_source source;
        auto work = [&]() -> task<bool> {
            unsigned const line = __LINE__ + 1;
            cancel_after const later(5s, source);
            co_await weft::sleep_for(4s);
            bool const too_early = source.stop_requested();
            co_await weft::sleep_for(2s);
            weft::stop_reason const why = source.token().reason();
            co_return !too_early && why.kind() == weft::stop_kind::deadline &&
                why.asked_at().line() == line;
        };
        CHECK(rt.block_on(work()));
    }

    TEST_CASE("it ends what waits under the source's token, a nursery or a handle") {
        runtime rt;
        auto const start = rt.now();
        auto by_token = []() -> task<std::string> {
            stop_source source;
            cancel_after const later(1s, source);
            co_return co_await weft::test::outcome_under(source.token(), sleeps(24h));
        };
        CHECK(rt.block_on(by_token()) == "stopped");
        CHECK(rounded(rt.now() - start) == 1s);
        auto by_nursery = []() -> task<> {
            auto body = [](nursery& n) -> task<> {
                cancel_after const later(1s, n);
                co_await weft::sleep_for(24h);
            };
            co_await weft::scope(body);
        };
        rt.block_on(by_nursery());
        CHECK(rounded(rt.now() - start) == 2s);
        auto by_handle = []() -> task<bool> {
            auto body = [](nursery& n) -> task<bool> {
                auto child = n.spawn(sleeps(24h));
                cancel_after const later(1s, child);
                auto const ended = co_await (child.join() | weft::as_result);
                co_return ended.error() == std::errc::operation_canceled&& child.is_done();
            };
            co_return co_await weft::scope(body);
        };
        CHECK(rt.block_on(by_handle()));
        CHECK(rounded(rt.now() - start) == 3s);
    }

    TEST_CASE("once it is destroyed, nothing is stopped and nothing waits") {
        runtime rt;
        auto const frames = frame_pool::live_frames();
        auto const start = rt.now();
        stop_source source;
        auto work = [&]() -> task<> {
            {
                cancel_after const later(1s, source);
            }
            co_await weft::sleep_for(2s);
        };
        rt.block_on(work());
        CHECK_FALSE(source.stop_requested());
        CHECK(rounded(rt.now() - start) == 2s);
        CHECK(rt.task_count() == 0);
        CHECK(frame_pool::live_frames() == frames);
    }

    TEST_CASE("a limit of nothing stops at the next opportunity") {
        runtime rt;
        stop_source source;
        auto work = [&]() -> task<> {
            cancel_after const later(0s, source);
            co_await weft::sleep_for(1ms);
        };
        rt.block_on(work());
        CHECK(source.stop_requested());
    }

    TEST_CASE("the callback of the stop may destroy it") {
        runtime rt;
        stop_source source;
        std::optional<cancel_after<stop_source>> later;
        weft::stop_callback const note(source.token(), [&] { later.reset(); });
        auto work = [&]() -> task<> {
            later.emplace(1s, source);
            co_await weft::sleep_for(2s);
        };
        rt.block_on(work());
        CHECK(source.stop_requested());
        CHECK_FALSE(later.has_value());
    }

    TEST_CASE("a runtime does not wait for it to end") {
        stop_source source;
        std::optional<cancel_after<stop_source>> later;
        {
            weft::thread_pool pool({.workers = 1});
            auto work = [&]() -> task<> {
                later.emplace(24h, source);
                co_return;
            };
            pool.block_on(work());
        }
        later.reset();
        CHECK_FALSE(source.stop_requested());
    }

    TEST_CASE("limits that race the end of their owner stop a living source or none") {
        auto const seed = weft::test::fresh_seed();
        CAPTURE(seed);
        weft::test::random_numbers random(seed);
        auto const frames = frame_pool::live_frames();
        {
            weft::thread_pool pool({.workers = 2});
            auto round = [&]() -> task<> {
                stop_source source;
                cancel_after const later(std::chrono::microseconds(random.below(4)), source);
                auto const turns = random.below(8);
                for (std::uint64_t i = 0; i < turns; ++i) {
                    co_await weft::yield();
                }
            };
            for (int i = 0; i < 10'000; ++i) {
                pool.block_on(round());
            }
        }
        CHECK(frame_pool::live_frames() == frames);
    }
}
