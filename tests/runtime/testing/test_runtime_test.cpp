#include <weft/runtime/testing/test_runtime.hpp>

#include <weft/runtime/join/when_all.hpp>
#include <weft/runtime/pool/blocking.hpp>
#include <weft/runtime/task/as_result.hpp>
#include <weft/runtime/task/call.hpp>
#include <weft/runtime/time/timeout.hpp>
#include <weft/tests/support/death.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <concepts>
#include <coroutine>
#include <csignal>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using weft::task;
using weft::test::runtime;

/// Sleeps end at a tick of the worker's wheel: less than 2 µs late.
bool is_about(weft::clock::duration measured, weft::clock::duration wanted) {
    return measured >= wanted && measured < wanted + 2us;
}

/// Lets one coroutine wait for a foreign thread.
class foreign_signal {
public:
    [[nodiscard]] bool await_ready() const noexcept { return false; }

    template <std::derived_from<weft::detail::promise_base> Promise>
    void await_suspend(std::coroutine_handle<Promise> waiter) noexcept {
        waiter_ = &waiter.promise();
    }

    void await_resume() const noexcept {}

    /// Foreign thread. Waits for the waiter first.
    void set() noexcept {
        weft::detail::promise_base* waiter = nullptr;
        while ((waiter = waiter_) == nullptr) {
            std::this_thread::yield();
        }
        waiter->context_->sched->schedule(*waiter);
    }

private:
    std::atomic<weft::detail::promise_base*> waiter_{nullptr};
};

task<> note_after(runtime& rt,
                  std::vector<weft::clock::time_point>& wakings,
                  weft::clock::duration delay) {
    co_await weft::sleep_for(delay);
    wakings.push_back(rt.now());
}

task<int> after(weft::clock::duration delay, int value) {
    co_await weft::sleep_for(delay);
    co_return value;
}

task<> wait_for(foreign_signal& signal) {
    co_await signal;
}

}  // namespace

TEST_SUITE("runtime/test_runtime") {
    TEST_CASE("a sleep of a year takes a year of virtual time and none of the real") {
        runtime rt;
        auto const start = rt.now();
        auto const real_start = std::chrono::steady_clock::now();
        CHECK(rt.block_on(after(24h * 365, 7)) == 7);
        CHECK(is_about(rt.now() - start, 24h * 365));
        CHECK(std::chrono::steady_clock::now() - real_start < 1h);
    }

    TEST_CASE("sleepers wake in the order of their deadlines, each at its time") {
        runtime rt;
        auto const start = rt.now();
        std::vector<weft::clock::time_point> wakings;
        auto work = [&]() -> task<> {
            co_await weft::when_all(note_after(rt, wakings, 3h),
                                    note_after(rt, wakings, 1ms),
                                    note_after(rt, wakings, 2min));
        };
        rt.block_on(work());
        REQUIRE(wakings.size() == 3);
        CHECK(is_about(wakings[0] - start, 1ms));
        CHECK(is_about(wakings[1] - start, 2min));
        CHECK(is_about(wakings[2] - start, 3h));
    }

    TEST_CASE("a timeout strikes when nothing else can happen before it") {
        runtime rt;
        auto work = []() -> task<bool> {
            auto const in_time = co_await weft::as_result(weft::timeout(2s, after(1s, 1)));
            auto const too_slow = co_await weft::as_result(weft::timeout(1s, after(2s, 1)));
            co_return in_time.has_value() && too_slow.error() == std::errc::timed_out;
        };
        auto const start = rt.now();
        CHECK(rt.block_on(work()));
        CHECK(rt.now() - start < 2s + 10us);
    }

    TEST_CASE("between two calls time stands still, and spawned tasks sleep on") {
        runtime rt;
        auto const start = rt.now();
        std::vector<weft::clock::time_point> wakings;
        rt.spawn(note_after(rt, wakings, 1h));
        rt.block_on(after(1s, 0));
        CHECK(wakings.empty());
        CHECK(is_about(rt.now() - start, 1s));
        CHECK(rt.task_count() == 1);
    }

    TEST_CASE("advance runs what is due on the way at its time, and leaves what is not") {
        runtime rt;
        auto const start = rt.now();
        std::vector<weft::clock::time_point> wakings;
        for (int second : {1, 2, 3, 30}) {
            rt.spawn(note_after(rt, wakings, std::chrono::seconds(second)));
        }
        rt.advance(10s);
        CHECK(rt.now() - start == 10s);
        REQUIRE(wakings.size() == 3);
        CHECK(is_about(wakings[0] - start, 1s));
        CHECK(is_about(wakings[2] - start, 3s));
        rt.advance(21s);
        CHECK(rt.now() - start == 31s);
        CHECK(wakings.size() == 4);
        CHECK(rt.task_count() == 0);
    }

    TEST_CASE("advancing by nothing lets what is ready run until it waits") {
        runtime rt;
        auto const start = rt.now();
        int turns = 0;
        auto work = [](int& turns_out) -> task<> {
            for (int i = 0; i < 1'000; ++i) {
                co_await weft::yield();
                ++turns_out;
            }
            co_await weft::sleep_for(1s);
            turns_out = -1;
        };
        rt.spawn(work(turns));
        rt.advance(0s);
        CHECK(turns == 1'000);
        CHECK(rt.now() == start);
    }

    TEST_CASE("a hold keeps a timeout from striking until a foreign thread is done") {
        runtime rt;
        foreign_signal signal;
        auto const start = rt.now();
        auto hold = rt.hold_time();
        std::thread foreign([&signal] { signal.set(); });
        auto work = [&]() -> task<bool> {
            auto const ended = co_await weft::as_result(weft::timeout(1s, wait_for(signal)));
            co_return ended.has_value();
        };
        CHECK(rt.block_on(work()));
        CHECK(rt.now() == start);
        foreign.join();
    }

    TEST_CASE("a hold that ends on another thread lets time go on") {
        runtime rt;
        auto const start = rt.now();
        std::thread foreign([hold = rt.hold_time()]() mutable { hold.release(); });
        CHECK(rt.block_on(after(1h, 3)) == 3);
        CHECK(is_about(rt.now() - start, 1h));
        foreign.join();
    }

    TEST_CASE("a blocking call holds the time from when it waits for its thread until it is back") {
        runtime rt;
        weft::blocking_pool pool({.threads_max = 1});
        std::atomic<bool> go_on = false;
        auto const start = rt.now();
        auto call = [&]() -> task<> { co_await weft::blocking(pool, [&] { go_on.wait(false); }); };
        auto work = [&]() -> task<bool> {
            auto const ended = co_await weft::as_result(
                weft::timeout(1s, weft::call([&] { return weft::when_all(call(), call()); })));
            co_return ended.has_value();
        };
        std::thread foreign([&] {
            while (pool.count().queued == 0) {
                std::this_thread::yield();
            }
            go_on = true;
            go_on.notify_all();
        });
        CHECK(rt.block_on(work()));
        CHECK(rt.now() == start);
        foreign.join();
        CHECK(rt.block_on(after(1h, 3)) == 3);
    }

    TEST_CASE("a blocking call that is stopped in the queue lets time go on") {
        runtime rt;
        weft::blocking_pool pool({.threads_max = 1});
        std::atomic<bool> go_on = false;
        auto call = [&]() -> task<> { co_await weft::blocking(pool, [&] { go_on.wait(false); }); };
        auto first = rt.spawn(call());
        auto second = rt.spawn(call());
        while (pool.count().queued == 0) {
            std::this_thread::yield();
        }
        rt.advance(0s);
        second.request_stop();
        rt.advance(0s);
        CHECK(second.is_done());
        go_on = true;
        go_on.notify_all();
        CHECK(rt.block_on(after(1h, 3)) == 3);
        CHECK(first.is_done());
    }

    TEST_CASE("advance moves time that is held") {
        runtime rt;
        auto const start = rt.now();
        auto const hold = rt.hold_time();
        std::vector<weft::clock::time_point> wakings;
        rt.spawn(note_after(rt, wakings, 1s));
        rt.advance(1min);
        CHECK(wakings.size() == 1);
        CHECK(rt.now() - start == 1min);
    }

    TEST_CASE("a runtime that waits without a deadline is woken by a foreign thread") {
        runtime rt;
        foreign_signal signal;
        std::thread foreign([&signal] { signal.set(); });
        rt.block_on(wait_for(signal));
        foreign.join();
        CHECK(rt.task_count() == 0);
    }

    TEST_CASE("with several workers time waits for the busiest") {
        runtime rt({.workers = 3});
        auto const start = rt.now();
        auto busy = [&]() -> task<bool> {
            bool moved = false;
            for (int i = 0; i < 20'000; ++i) {
                co_await weft::yield();
                moved = moved || rt.now() != start;
            }
            co_return moved;
        };
        auto work = [&]() -> task<bool> {
            auto const [moved, value] = co_await weft::when_all(busy(), after(1ms, 1));
            co_return moved;
        };
        CHECK_FALSE(rt.block_on(work()));
        CHECK(is_about(rt.now() - start, 1ms));
    }

    TEST_CASE("several workers agree on the times at which a thousand sleepers wake") {
        runtime rt({.workers = 2});
        auto const start = rt.now();
        auto one = [&](int ms) -> task<int> {
            co_await weft::sleep_for(std::chrono::milliseconds(ms));
            co_return is_about(rt.now() - start, std::chrono::milliseconds(ms)) ? 1 : 0;
        };
        auto work = [&]() -> task<int> {
            std::vector<task<int>> all;
            for (int i = 0; i < 1'000; ++i) {
                all.push_back(one(1 + i * 7 % 100));
            }
            auto const exact = co_await weft::when_all(std::move(all));
            int sum = 0;
            for (int each : exact) {
                sum += each;
            }
            co_return sum;
        };
        CHECK(rt.block_on(work()) == 1'000);
    }

    TEST_CASE("every run has the same order") {
        auto run = [] {
            runtime rt;
            std::vector<int> order;
            auto one = [&](int name) -> task<> {
                for (int i = 0; i < 5; ++i) {
                    co_await weft::sleep_for(std::chrono::microseconds(100 + name * 37 % 11));
                    order.push_back(name);
                }
            };
            auto work = [&]() -> task<> {
                std::vector<task<>> all;
                for (int i = 0; i < 50; ++i) {
                    all.push_back(one(i));
                }
                co_await weft::when_all(std::move(all));
            };
            rt.block_on(work());
            return order;
        };
        auto const first = run();
        CHECK(first.size() == 250);
        for (int i = 0; i < 10; ++i) {
            CHECK(run() == first);
        }
    }

    TEST_CASE("a runtime that is destroyed stops its sleepers and frees them") {
        std::vector<weft::clock::time_point> wakings;
        {
            runtime rt;
            for (int i = 1; i < 100; ++i) {
                rt.spawn(note_after(rt, wakings, std::chrono::hours(i)));
            }
            rt.advance(0s);
            CHECK(rt.task_count() == 99);
        }
        CHECK(wakings.empty());
        CHECK(weft::detail::frame_pool::live_frames() == 0);
    }

    TEST_CASE("advance on a worker, which would wait for itself, aborts and says so") {
        auto const seen = weft::test::death_of([] {
            runtime rt;
            auto work = [&]() -> task<> {
                rt.advance(1s);
                co_return;
            };
            rt.block_on(work());
        });
        CHECK(seen.signal == SIGABRT);
        CHECK(seen.text.find("use sleep_for") != std::string::npos);
    }

    TEST_CASE("foreign threads that spawn while time moves are all served") {
        constexpr int per_thread = 500;
        std::atomic<int> ended = 0;
        runtime rt({.workers = 2});
        auto sleeper = [](std::atomic<int>& count, int ms) -> task<> {
            co_await weft::sleep_for(std::chrono::milliseconds(ms));
            ++count;
        };
        auto flood = [&] {
            for (int i = 0; i < per_thread; ++i) {
                rt.spawn(sleeper(ended, i % 50));
            }
        };
        std::thread one(flood);
        std::thread other(flood);
        for (int i = 0; i < 100; ++i) {
            rt.block_on(after(1ms, 0));
        }
        one.join();
        other.join();
        rt.advance(1s);
        CHECK(ended == 2 * per_thread);
    }
}

TEST_SUITE("runtime/virtual_time") {
    using weft::detail::virtual_clock;
    using weft::detail::virtual_driver;

    TEST_CASE("a driver that was woken before it parks returns at once and time stands still") {
        virtual_clock time;
        virtual_driver driver(time);
        weft::detail::self_advance const moving(time);
        driver.wake();
        driver.park(virtual_clock::origin + 5);
        CHECK(time.now() == virtual_clock::origin);
    }

    TEST_CASE("a driver that parks alone takes time to its deadline") {
        virtual_clock time;
        virtual_driver driver(time);
        weft::detail::self_advance const moving(time);
        driver.park(virtual_clock::origin + 5);
        CHECK(time.now() == virtual_clock::origin + 5);
        driver.park(virtual_clock::origin + 3);
        CHECK(time.now() == virtual_clock::origin + 5);
        CHECK(driver.now() == time.now());
    }

    TEST_CASE("of two drivers that park the one with the earlier deadline goes on") {
        virtual_clock time;
        virtual_driver early(time);
        virtual_driver late(time);
        weft::detail::self_advance const moving(time);
        std::thread other([&late] { late.park(virtual_clock::origin + 9); });
        early.park(virtual_clock::origin + 5);
        CHECK(time.now() == virtual_clock::origin + 5);
        late.wake();
        other.join();
        CHECK(time.now() == virtual_clock::origin + 5);
    }
}
