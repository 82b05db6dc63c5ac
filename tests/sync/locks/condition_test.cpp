#include <weft/sync/locks/condition.hpp>

#include <weft/runtime/pool/runtime_base.hpp>
#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/scope/scope.hpp>
#include <weft/runtime/time/sleep.hpp>
#include <weft/tests/support/death.hpp>
#include <weft/tests/support/endings.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <cstdint>
#include <deque>
#include <optional>
#include <stdexcept>
#include <vector>

namespace {

using weft::task;

/// A queue of at most `room` numbers, as one writes it with two conditions.
struct bounded_queue {
    task<> push(std::uint64_t value) {
        auto guard = co_await mutex.scoped_lock();
        co_await shrunk.wait(guard, [this] { return values.size() < room; });
        values.push_back(value);
        grown.notify_one();
    }

    task<std::uint64_t> pop() {
        auto guard = co_await mutex.scoped_lock();
        while (values.empty()) {
            co_await grown.wait(guard);
        }
        auto const value = values.front();
        values.pop_front();
        shrunk.notify_one();
        co_return value;
    }

    explicit bounded_queue(std::size_t capacity) : room(capacity) {}

    std::size_t room;
    weft::mutex mutex;
    weft::condition_variable grown;
    weft::condition_variable shrunk;
    std::deque<std::uint64_t> values;
};

}  // namespace

TEST_SUITE("sync/condition") {
    TEST_CASE("a predicate that holds is not waited for") {
        weft::mutex mutex;
        weft::condition_variable condition;
        auto work = [&]() -> task<bool> {
            auto guard = co_await mutex.scoped_lock();
            co_await condition.wait(guard, [] { return true; });
            co_return static_cast<bool>(guard);
        };
        CHECK(weft::sync_wait(work()));
        condition.notify_one();
        condition.notify_all();
    }

    TEST_CASE("a wait gives the mutex up and has it again when it ends") {
        weft::thread_pool pool({.workers = 1});
        weft::mutex mutex;
        weft::condition_variable condition;
        bool had_it = false;
        auto waits = [&]() -> task<> {
            auto guard = co_await mutex.scoped_lock();
            co_await condition.wait(guard);
            had_it = static_cast<bool>(guard) && !mutex.try_lock();
        };
        auto work = [&]() -> task<> {
            auto body = [&](weft::nursery& n) -> task<> {
                n.spawn(waits());
                co_await weft::yield();
                CHECK(mutex.try_lock());
                condition.notify_one();
                co_await weft::yield();
                CHECK_FALSE(had_it);  // it was notified, and waits for the mutex
                mutex.unlock();
            };
            co_await weft::scope(body);
        };
        pool.block_on(work());
        CHECK(had_it);
        CHECK(mutex.try_lock());
        mutex.unlock();
    }

    TEST_CASE("notify_one wakes who has waited longest, notify_all wakes all in order") {
        weft::thread_pool pool({.workers = 1});
        weft::mutex mutex;
        weft::condition_variable condition;
        std::vector<int> order;
        auto waits = [&](int name) -> task<> {
            auto guard = co_await mutex.scoped_lock();
            co_await condition.wait(guard);
            order.push_back(name);
            co_await weft::yield();
        };
        auto work = [&]() -> task<> {
            auto body = [&](weft::nursery& n) -> task<> {
                for (int i = 1; i <= 4; ++i) {
                    n.spawn(waits(i));
                }
                co_await weft::yield();
                condition.notify_one();
                CHECK(order.empty());
                co_await weft::yield();
                CHECK(order == std::vector<int>{1});
                condition.notify_all();
            };
            co_await weft::scope(body);
        };
        pool.block_on(work());
        CHECK(order == std::vector<int>{1, 2, 3, 4});
    }

    TEST_CASE("a notification does not end a wait whose predicate does not hold") {
        weft::thread_pool pool({.workers = 1});
        weft::mutex mutex;
        weft::condition_variable condition;
        int value = 0;
        int asked = 0;
        int seen = -1;
        auto waits = [&]() -> task<> {
            auto guard = co_await mutex.scoped_lock();
            co_await condition.wait(guard, [&] {
                ++asked;
                return value == 3;
            });
            seen = value;
        };
        auto work = [&]() -> task<> {
            auto body = [&](weft::nursery& n) -> task<> {
                n.spawn(waits());
                co_await weft::yield();
                for (value = 1; value < 3; ++value) {
                    condition.notify_all();
                    co_await weft::yield();
                    CHECK(asked == value + 1);
                    CHECK(seen == -1);
                }
                condition.notify_all();
            };
            co_await weft::scope(body);
        };
        pool.block_on(work());
        CHECK(seen == 3);
        CHECK(asked == 4);
    }

    TEST_CASE("what a predicate throws leaves the wait, with the mutex held") {
        weft::thread_pool pool({.workers = 1});
        weft::mutex mutex;
        weft::condition_variable condition;
        bool broken = false;
        bool caught = false;
        auto waits = [&]() -> task<> {
            auto guard = co_await mutex.scoped_lock();
            try {
                co_await condition.wait(guard, [&]() -> bool {
                    if (broken) {
                        throw std::runtime_error("broken");
                    }
                    return false;
                });
            } catch (std::runtime_error const&) {
                caught = static_cast<bool>(guard) && !mutex.try_lock();
            }
        };
        auto work = [&]() -> task<> {
            auto body = [&](weft::nursery& n) -> task<> {
                n.spawn(waits());
                co_await weft::yield();
                broken = true;
                condition.notify_one();
            };
            co_await weft::scope(body);
        };
        pool.block_on(work());
        CHECK(caught);
        CHECK(mutex.try_lock());
        mutex.unlock();
    }

    TEST_CASE("a stopped wait unwinds with the mutex, when it is free, and unlocks it") {
        weft::thread_pool pool({.workers = 1});
        weft::mutex mutex;
        weft::condition_variable condition;
        bool unwound = false;
        bool held = false;

        struct looks_at_end {
            ~looks_at_end() {
                unwound = true;
                held = !mutex.try_lock();
            }

            bool& unwound;
            bool& held;
            weft::mutex& mutex;
        };

        auto waits = [&](bool with_predicate) -> task<> {
            auto guard = co_await mutex.scoped_lock();
            looks_at_end const end{unwound, held, mutex};
            if (with_predicate) {
                co_await condition.wait(guard, [] { return false; });
            } else {
                co_await condition.wait(guard);
            }
        };
        auto stops = [&](bool with_predicate) -> task<> {
            auto body = [&](weft::nursery& n) -> task<> {
                n.spawn(waits(with_predicate));
                co_await weft::yield();
                CHECK(mutex.try_lock());
                n.request_stop();
                co_await weft::test::stubborn_yield();
                CHECK_FALSE(unwound);
                mutex.unlock();
            };
            co_await weft::scope(body);
        };
        for (bool const with_predicate : {false, true}) {
            unwound = held = false;
            pool.block_on(stops(with_predicate));
            CHECK(unwound);
            CHECK(held);
            CHECK(mutex.try_lock());
            mutex.unlock();
        }
    }

    TEST_CASE("a queue made with conditions passes each value on, once") {
        constexpr std::uint64_t pairs = 3;
        constexpr std::uint64_t each = 5'000;
        for (std::size_t room : {std::size_t{1}, std::size_t{8}}) {
            for (unsigned workers : {1U, 2U}) {
                weft::thread_pool pool({.workers = workers});
                bounded_queue queue(room);
                std::vector<std::atomic<int>> seen(pairs * each);
                auto produce = [&](std::uint64_t first) -> task<> {
                    for (std::uint64_t i = 0; i < each; ++i) {
                        co_await queue.push(first + i);
                    }
                };
                auto consume = [&]() -> task<> {
                    for (std::uint64_t i = 0; i < each; ++i) {
                        auto const value = co_await queue.pop();
                        ++seen[value];
                    }
                };
                auto work = [&]() -> task<> {
                    auto body = [&](weft::nursery& n) -> task<> {
                        for (std::uint64_t i = 0; i < pairs; ++i) {
                            n.spawn(produce(i * each));
                            n.spawn(consume());
                        }
                        co_return;
                    };
                    co_await weft::scope(body);
                };
                pool.block_on(work());
                bool once = true;
                for (auto const& count : seen) {
                    once = once && count == 1;
                }
                CHECK(once);
                CHECK(queue.values.empty());
            }
        }
    }

    TEST_CASE("a wait without the mutex aborts and says so") {
        auto const seen = weft::test::death_of([] {
            weft::condition_variable condition;
            weft::mutex_guard guard;
            (void)condition.wait(guard);
        });
        CHECK(weft::test::aborted_saying(seen, "waited for without its mutex"));
    }

    TEST_CASE("a condition_variable that is destroyed while a task waits aborts and says so") {
        auto const seen = weft::test::death_of([] {
            weft::thread_pool pool({.workers = 1});
            weft::mutex mutex;
            std::optional<weft::condition_variable> condition;
            condition.emplace();
            auto waits = [&]() -> task<> {
                auto guard = co_await mutex.scoped_lock();
                co_await condition->wait(guard);
            };
            auto work = [&]() -> task<> {
                weft::spawn(waits());
                co_await weft::yield();
                condition.reset();
            };
            pool.block_on(work());
        });
        CHECK(
            weft::test::aborted_saying(seen, "a condition_variable is destroyed while tasks wait"));
    }

    TEST_CASE("a task without a runtime that would have to wait aborts and says so") {
        auto const seen = weft::test::death_of([] {
            weft::mutex mutex;
            weft::condition_variable condition;
            auto work = [&]() -> task<> {
                auto guard = co_await mutex.scoped_lock();
                co_await condition.wait(guard);
            };
            weft::sync_wait(work());
        });
        CHECK(weft::test::aborted_saying(seen, "condition_variable::wait needs a runtime"));
    }
}
