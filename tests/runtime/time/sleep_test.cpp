#include <weft/runtime/time/sleep.hpp>

#include <weft/runtime/join/when_all.hpp>
#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/testing/test_runtime.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using weft::task;

/// Records when the sleepers of a list wake.
task<> note_after(std::vector<int>& order, int name, std::chrono::milliseconds delay) {
    co_await weft::sleep_for(delay);
    order.push_back(name);
}

task<> until_stopped(std::atomic<int>& started, std::atomic<int>& finished) {
    ++started;
    co_await weft::sleep_for(24h);
    ++finished;
}

}  // namespace

TEST_SUITE("runtime/sleep") {
    TEST_CASE("a sleep never ends early") {
        weft::thread_pool pool({.workers = 1});
        auto work = []() -> task<bool> {
            bool early = false;
            for (auto delay : {1us, 50us, 999us, 1000us, 1001us, 5000us}) {
                auto const start = weft::clock::now();
                co_await weft::sleep_for(delay);
                early = early || weft::clock::now() - start < delay;
            }
            co_return early;
        };
        CHECK(!pool.block_on(work()));
    }

    TEST_CASE("a sleep of no time, or until a time that has passed, ends") {
        weft::thread_pool pool({.workers = 1});
        auto work = []() -> task<int> {
            co_await weft::sleep_for(0s);
            co_await weft::sleep_for(-1h);
            co_await weft::sleep_until(weft::clock::now() - 1h);
            co_return 1;
        };
        CHECK(pool.block_on(work()) == 1);
    }

    TEST_CASE("sleepers of one worker wake in the order of their deadlines") {
        weft::test::runtime pool;  // its clock stands still until all of them sleep
        std::vector<int> order;
        auto work = [&]() -> task<> {
            co_await weft::when_all(
                note_after(order, 3, 30ms), note_after(order, 1, 10ms), note_after(order, 2, 20ms));
        };
        pool.block_on(work());
        CHECK(order == std::vector<int>{1, 2, 3});
    }

    TEST_CASE("destroying the pool ends the longest sleeps and runs nothing behind them") {
        std::atomic<int> started = 0;
        std::atomic<int> finished = 0;
        {
            weft::thread_pool pool({.workers = 2});
            for (int i = 0; i < 1'000; ++i) {
                pool.spawn(until_stopped(started, finished));
            }
            while (started < 1'000) {
                std::this_thread::yield();
            }
        }
        CHECK(finished == 0);
        CHECK(weft::detail::frame_pool::live_frames() == 0);
    }

    TEST_CASE("a sleep that begins after the stop does not begin") {
        std::atomic<int> started = 0;
        std::atomic<int> finished = 0;
        {
            weft::thread_pool pool({.workers = 1});
            pool.request_stop();
            pool.spawn(until_stopped(started, finished));
        }
        CHECK(started == 1);
        CHECK(finished == 0);
    }

    TEST_CASE("yielding lets a task that became ready earlier run first") {
        weft::thread_pool pool({.workers = 1});
        std::vector<int> order;
        auto step = [](std::vector<int>& out, int name) -> task<> {
            for (int i = 0; i < 3; ++i) {
                out.push_back(name);
                co_await weft::yield();
            }
        };
        auto work = [&]() -> task<> {
            auto body = [&](weft::nursery& n) -> task<> {
                n.spawn(step(order, 1));
                n.spawn(step(order, 2));
                co_return;
            };
            co_await weft::scope(body);
        };
        pool.block_on(work());
        CHECK(order == std::vector<int>{1, 2, 1, 2, 1, 2});
    }

    TEST_CASE("a stop racing the end of a sleep either stops it or lets it through, and joins") {
        std::atomic<int> finished = 0;
        for (int round = 0; round < 2'000; ++round) {
            weft::thread_pool pool({.workers = 2});
            auto brief = [](std::atomic<int>& out) -> task<> {
                co_await weft::sleep_for(std::chrono::microseconds(20));
                ++out;
            };
            for (int i = 0; i < 4; ++i) {
                pool.spawn(brief(finished));
            }
            if (round % 2 == 0) {
                std::this_thread::sleep_for(std::chrono::microseconds(round % 60));
            }
        }
        CHECK(finished <= 8'000);
        CHECK(weft::detail::frame_pool::live_frames() == 0);
    }
}
