#include <weft/runtime/worker.hpp>

#include <weft/runtime/scope.hpp>
#include <weft/runtime/sleep.hpp>
#include <weft/runtime/thread_pool.hpp>
#include <weft/runtime/when_all.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <coroutine>
#include <cstddef>
#include <ctime>
#include <vector>

namespace {

using weft::nursery;
using weft::task;

// More than a ready ring holds.
constexpr std::size_t crowd = 3'000;
constexpr std::size_t turns = 4;

task<> take_turns(std::size_t self, std::vector<std::size_t>& order) {
    for (std::size_t turn = 0; turn < turns; ++turn) {
        order.push_back(turn * crowd + self);
        co_await weft::yield();
    }
}

/// A place where one task waits until another one wakes it; a wake that comes first is kept.
class wake_place {
public:
    void wake() {
        void* const waiter = state_.exchange(woken());
        if (waiter != nullptr && waiter != woken()) {
            state_ = nullptr;
            auto& promise = *static_cast<weft::detail::promise_base*>(waiter);
            promise.context_->sched->schedule(promise);
        }
    }

    [[nodiscard]] bool await_ready() const noexcept { return false; }

    template <class Promise>
    bool await_suspend(std::coroutine_handle<Promise> handle) {
        void* expected = nullptr;
        weft::detail::promise_base& waiter = handle.promise();
        if (state_.compare_exchange_strong(expected, &waiter)) {
            return true;
        }
        state_ = nullptr;
        return false;
    }

    void await_resume() const noexcept {}

private:
    [[nodiscard]] void* woken() noexcept { return this; }

    std::atomic<void*> state_ = nullptr;
};

std::chrono::nanoseconds processor_time() {
    timespec time{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

/// Two tasks that wake each other in turn, for a while.
task<> play_ping_pong(std::chrono::milliseconds duration) {
    wake_place left;
    wake_place right;
    bool is_over = false;
    auto ping = [&]() -> task<> {
        auto const start = weft::clock::now();
        while (!is_over) {
            is_over = weft::clock::now() - start >= duration;
            right.wake();
            co_await left;
        }
    };
    auto pong = [&]() -> task<> {
        for (bool is_last = false; !is_last;) {
            co_await right;
            is_last = is_over;
            left.wake();
        }
    };
    co_await weft::when_all(ping(), pong());
}

}  // namespace

TEST_SUITE("runtime/worker") {
    TEST_CASE("ready coroutines run first come, first served, however many there are") {
        weft::thread_pool pool(1);
        std::vector<std::size_t> order;
        auto work = [&]() -> task<> {
            auto body = [&](nursery& children) -> task<> {
                for (std::size_t i = 0; i < crowd; ++i) {
                    children.spawn(take_turns(i, order));
                }
                co_return;
            };
            co_await weft::scope(body);
        };
        pool.block_on(work());
        CHECK(order.size() == turns * crowd);
        CHECK(std::is_sorted(order.begin(), order.end()));
    }

    TEST_CASE("a crowd behind a full ring is run to its end while thieves empty the ring") {
        weft::thread_pool pool(4);
        auto member = [](std::size_t yields) -> task<> {
            for (std::size_t i = 0; i < yields; ++i) {
                co_await weft::yield();
            }
        };
        auto work = [&](std::size_t yields) -> task<> {
            auto body = [&, yields](nursery& children) -> task<> {
                for (std::size_t i = 0; i < crowd; ++i) {
                    children.spawn(member(yields));
                }
                co_return;
            };
            co_await weft::scope(body);
        };
        for (std::size_t round = 0; round < 20; ++round) {
            pool.block_on(work(round % 3));
        }
        CHECK(pool.task_count() == 0);
    }

    TEST_CASE("a task that is always ready does not hold up a timer") {
        weft::thread_pool pool(1);
        bool is_over = false;
        auto spin = [&]() -> task<> {
            while (!is_over) {
                co_await weft::yield();
            }
        };
        auto sleeper = [&]() -> task<> {
            co_await weft::sleep_for(std::chrono::milliseconds(1));
            is_over = true;
        };
        auto work = [&]() -> task<> { co_await weft::when_all(spin(), sleeper()); };
        pool.block_on(work());
        CHECK(is_over);
    }

    TEST_CASE("endless forking does not hold up a timer") {
        weft::thread_pool pool(1);
        bool is_over = false;
        auto leaf = []() -> task<int> { co_return 1; };
        auto fork = [&]() -> task<> {
            while (!is_over) {
                co_await weft::when_all(leaf(), leaf());
            }
        };
        auto sleeper = [&]() -> task<> {
            co_await weft::sleep_for(std::chrono::milliseconds(1));
            is_over = true;
        };
        auto work = [&]() -> task<> { co_await weft::when_all(fork(), sleeper()); };
        pool.block_on(work());
        CHECK(is_over);
    }

    TEST_CASE("a crowd on one worker is shared with another") {
        weft::thread_pool pool(2);
        std::atomic<unsigned> seen = 0;
        auto work = [&]() -> task<> {
            auto until_both_have_run = [&](nursery& children) -> task<> {
                auto visit = [&]() -> task<> {
                    while (seen != 3) {
                        seen |= 1U << weft::detail::current_worker()->index();
                        co_await weft::yield();
                    }
                };
                for (std::size_t i = 0; i < crowd; ++i) {
                    children.spawn(visit);
                }
                co_return;
            };
            co_await weft::scope(until_both_have_run);
        };
        pool.block_on(work());
        CHECK(seen == 3);
    }

    TEST_CASE("two tasks that take turns keep one worker busy, not two") {
        weft::thread_pool pool(2);
        auto const start = weft::clock::now();
        auto const used_before = processor_time();
        pool.block_on(play_ping_pong(std::chrono::milliseconds(100)));
        // On a busy machine less is used in the same time.
        CHECK(processor_time() - used_before < 1.5 * (weft::clock::now() - start));
    }
}
