#include <weft/runtime/fiber/fiber.hpp>
#include <weft/runtime/join/when_all.hpp>
#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/scope/scope.hpp>
#include <weft/runtime/time/sleep.hpp>
#include <weft/runtime/time/timeout.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <coroutine>
#include <memory>
#include <set>
#include <thread>
#include <utility>
#include <vector>

// Where a fiber goes on.

using namespace std::chrono_literals;
using weft::fiber;
using weft::nursery;
using weft::task;
namespace this_fiber = weft::this_fiber;

namespace {

/// Resumes what awaits it on a thread of its own.
struct from_foreign_thread {
    [[nodiscard]] bool await_ready() const noexcept { return false; }

    void await_suspend(std::coroutine_handle<> waiter) const {
        std::thread([waiter] { waiter.resume(); }).detach();
    }

    void await_resume() const noexcept {}
};

/// Resumes what awaits it on another worker than the one that began it, if one comes in time: of
/// several tasks, those on this worker wait for one that was stolen.
class elsewhere {
public:
    explicit elsewhere(weft::thread_pool& pool) noexcept : pool_(pool) {}

    [[nodiscard]] bool await_ready() const noexcept { return false; }

    void await_suspend(std::coroutine_handle<> waiter) const {
        auto const left = std::this_thread::get_id();
        auto const is_taken = std::make_shared<std::atomic<bool>>(false);
        weft::thread_pool& pool = pool_;  // the waiter may be gone before all are spawned
        for (int i = 0; i < 4; ++i) {
            pool.spawn([waiter, left, is_taken]() -> task<> {
                auto const late = std::chrono::steady_clock::now() + 100ms;
                while (std::this_thread::get_id() == left && !*is_taken &&
                       std::chrono::steady_clock::now() < late) {
                    std::this_thread::yield();
                }
                if (!is_taken->exchange(true)) {
                    waiter.resume();
                }
                co_return;
            });
        }
    }

    void await_resume() const noexcept {}

private:
    weft::thread_pool& pool_;
};

/// A function's idea of a thread: what a compiler may keep over an await.
[[gnu::noinline]] std::thread::id thread_here() {
    asm volatile("" ::: "memory");
    return std::this_thread::get_id();
}

int work(int amount) {
    int sum = 0;
    for (int i = 0; i < amount; ++i) {
        asm volatile("" : "+r"(sum));
        sum += i;
    }
    return sum;
}

}  // namespace

TEST_SUITE("runtime/fiber/home") {
    TEST_CASE("a fiber sees one thread, whoever resumes it") {
        weft::thread_pool pool({.workers = 4});
        std::atomic<int> strayed{0};
        auto wanders = [&] {
            return fiber([&] {
                auto const home = thread_here();
                for (int i = 0; i < 50; ++i) {
                    if (i % 3 == 0) {
                        this_fiber::await(elsewhere(pool));
                    } else if (i % 3 == 1) {
                        this_fiber::await(from_foreign_thread());
                    } else {
                        this_fiber::yield();
                    }
                    strayed += thread_here() == home ? 0 : 1;
                }
            });
        };
        pool.block_on([&] { return weft::when_all(wanders(), wanders(), wanders()); });
        pool.join();
        CHECK(strayed == 0);
    }

    TEST_CASE("many fibers on few workers stay where they began, and all of them end") {
        weft::thread_pool pool({.workers = 3});
        std::atomic<int> strayed{0};
        std::atomic<int> ended{0};
        constexpr int count = 300;
        auto body = [&](nursery& n) -> task<> {
            for (int i = 0; i < count; ++i) {
                n.spawn(fiber([&] {
                    auto const home = thread_here();
                    for (int turn = 0; turn < 20; ++turn) {
                        work(100);
                        if (turn % 4 == 0) {
                            this_fiber::await(weft::sleep_for(1us));
                        } else {
                            this_fiber::yield();
                        }
                        strayed += thread_here() == home ? 0 : 1;
                    }
                    ++ended;
                }));
            }
            co_return;
        };
        pool.block_on([&] { return weft::scope(body); });
        CHECK(strayed == 0);
        CHECK(ended == count);
    }

    TEST_CASE("a stack is unwound at home, wherever the stop comes from") {
        weft::thread_pool pool({.workers = 4});
        std::atomic<int> strayed{0};
        std::atomic<int> unwound{0};

        struct mark {
            std::atomic<int>* strayed;
            std::atomic<int>* unwound;
            std::thread::id home = thread_here();

            ~mark() {
                *strayed += thread_here() == home ? 0 : 1;
                ++*unwound;
            }
        };

        constexpr int rounds = 200;
        for (int i = 0; i < rounds; ++i) {
            auto body = [&](nursery& n) -> task<> {
                for (int each = 0; each < 4; ++each) {
                    n.spawn(fiber([&] {
                        mark const here{&strayed, &unwound};
                        for (;;) {
                            this_fiber::yield();
                        }
                    }));
                }
                co_await weft::sleep_for(10us);
                n.request_stop();
            };
            pool.block_on([&]() -> task<> {
                (void)co_await weft::timeout(1min, [&] { return weft::scope(body); }).as_result();
            });
        }
        CHECK(strayed == 0);
        CHECK(unwound > 0);
    }

    TEST_CASE("a fiber that may migrate goes on where it is resumed") {
        weft::thread_pool pool({.workers = 2});
        auto wanders = fiber(
            [&] {
                std::set<std::thread::id> seen;
                for (int i = 0; i < 10; ++i) {
                    seen.insert(thread_here());
                    this_fiber::await(elsewhere(pool));
                }
                return seen.size();
            },
            {.may_migrate = true});
        CHECK(pool.block_on(std::move(wanders)) == 2);
        pool.join();
    }

    TEST_CASE("exceptions in hand go with a fiber that migrates") {
        weft::thread_pool pool({.workers = 2});
        auto wanders = fiber(
            [&] {
                int sum = 0;
                for (int i = 0; i < 20; ++i) {
                    try {
                        throw i;
                    } catch (int value) {
                        this_fiber::await(elsewhere(pool));
                        try {
                            throw;
                        } catch (int again) {
                            sum += again == value ? again : -1'000;
                        }
                    }
                }
                return sum;
            },
            {.may_migrate = true});
        CHECK(pool.block_on(std::move(wanders)) == 190);
        pool.join();
    }
}
