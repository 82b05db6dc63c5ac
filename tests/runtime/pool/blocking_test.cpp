#include <weft/runtime/pool/blocking.hpp>

#include <weft/runtime/join/when_all.hpp>
#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/ranges/for_each.hpp>
#include <weft/runtime/sched/worker.hpp>
#include <weft/runtime/scope/scope.hpp>
#include <weft/runtime/scope/stop_on.hpp>
#include <weft/tests/support/death.hpp>
#include <weft/tests/support/failing_allocations.hpp>
#include <weft/tests/support/outcome.hpp>
#include <weft/tests/support/seed.hpp>
#include <weft/tests/support/small_tasks.hpp>

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <barrier>
#include <chrono>
#include <memory>
#include <semaphore>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <sys/resource.h>
#include <unistd.h>

using namespace std::chrono_literals;
using namespace weft::test;
using weft::blocking_pool;
using weft::stop_source;
using weft::task;

namespace {

constinit weft::task_local<std::string> user;

/// Blocks its thread until told to go on.
struct gate {
    std::counting_semaphore<> entered{0};
    std::counting_semaphore<> may_go{0};

    int pass() {
        entered.release();
        may_go.acquire();
        return 1;
    }
};

/// How often a thread of this process has begun to wait.
long switches_of_threads() {
    ::rusage used{};
    ::getrusage(RUSAGE_SELF, &used);
    return used.ru_nvcsw;
}

}  // namespace

TEST_SUITE("runtime/blocking") {
    TEST_CASE("the call is made on another thread, and its task goes on in its runtime") {
        weft::thread_pool pool({.workers = 1});
        auto work = []() -> task<bool> {
            auto const here = std::this_thread::get_id();
            auto where = [] { return std::this_thread::get_id(); };
            auto const there = co_await weft::blocking(where);
            co_return here != there&& std::this_thread::get_id() == here;
        };
        CHECK(pool.block_on(work()));
    }

    TEST_CASE("values, nothing, move-only values and errors come back") {
        weft::thread_pool pool({.workers = 1});
        CHECK(pool.block_on(weft::blocking([] { return 7; })) == 7);
        pool.block_on(weft::blocking([] {}));
        CHECK(*pool.block_on(weft::blocking([] { return std::make_unique<int>(8); })) == 8);
        CHECK_THROWS_WITH(pool.block_on(weft::blocking([] { throw std::runtime_error("broken"); })),
                          "broken");
    }

    TEST_CASE("a call that blocks does not hold up other tasks") {
        weft::thread_pool pool({.workers = 1});
        gate closed;
        auto blocks = [&]() -> task<int> {
            int const v = co_await weft::blocking([&] { return closed.pass(); });
            co_return v;
        };
        auto opens = [&]() -> task<int> {
            for (int i = 0; i < 10; ++i) {
                co_await weft::yield();
            }
            closed.may_go.release();
            co_return 2;
        };
        auto both = [&]() -> task<int> {
            auto const [a, b] = co_await weft::when_all(blocks(), opens());
            co_return a + b;
        };
        CHECK(pool.block_on(both()) == 3);
    }

    TEST_CASE("a stop takes a call out of the queue, and only there") {
        weft::thread_pool pool({.workers = 2});
        blocking_pool narrow({.threads_max = 1});
        gate closed;
        stop_source source;
        bool ran = false;
        std::atomic<bool> first_runs = false;
        auto runs = weft::blocking(narrow, [&] { return closed.pass(); });
        auto waits = weft::blocking(narrow, [&] {
            ran = true;
            return 1;
        });
        auto both = [&]() -> task<std::string> {
            std::string first;
            std::string second;
            auto a = [&]() -> task<> {
                first = co_await outcome_under(source.token(), std::move(runs));
            };
            auto b = [&]() -> task<> {
                closed.entered.acquire();
                first_runs = true;
                second = co_await outcome_under(source.token(), std::move(waits));
            };
            auto c = [&]() -> task<> {
                while (!first_runs || narrow.count().queued == 0) {
                    co_await weft::yield();
                }
                source.request_stop();
                closed.may_go.release();
            };
            co_await weft::when_all(a(), b(), c());
            co_return first + ", " + second;
        };
        CHECK(pool.block_on(both()) == "value 1, stopped");
        CHECK_FALSE(ran);
    }

    TEST_CASE("a task that was stopped before makes no call") {
        weft::thread_pool pool({.workers = 1});
        stop_source source;
        source.request_stop();
        bool ran = false;
        CHECK(pool.block_on(outcome_under(source.token(), weft::blocking([&] {
                                              ran = true;
                                              return 1;
                                          }))) == "stopped");
        CHECK_FALSE(ran);
    }

    TEST_CASE("a function that takes a token sees the stop") {
        weft::thread_pool pool({.workers = 2});
        stop_source source;
        std::atomic<bool> begun = false;
        auto function = [&](weft::stop_token token) {
            begun = true;
            while (!token.stop_requested()) {
                std::this_thread::yield();
            }
            return 5;
        };
        std::thread requester([&] {
            while (!begun) {
                std::this_thread::yield();
            }
            source.request_stop();
        });
        CHECK(pool.block_on(outcome_under(source.token(), weft::blocking(function))) == "value 5");
        requester.join();
    }

    TEST_CASE("no more threads are made than allowed, and calls beyond wait their turn") {
        weft::thread_pool pool({.workers = 2});
        blocking_pool narrow({.threads_max = 3});
        std::atomic<int> now = 0;
        std::atomic<int> most = 0;
        std::atomic<int> calls = 0;
        auto call = [&]() -> task<> {
            auto function = [&] {
                int const in = ++now;
                int seen = most;
                while (seen < in && !most.compare_exchange_weak(seen, in)) {
                }
                std::this_thread::yield();
                --now;
                ++calls;
            };
            co_await weft::blocking(narrow, function);
        };
        auto work = [&]() -> task<> {
            auto body = [&](weft::nursery& n) -> task<> {
                for (int i = 0; i < 200; ++i) {
                    n.spawn(call());
                }
                co_return;
            };
            co_await weft::scope(body);
        };
        pool.block_on(work());
        CHECK(calls == 200);
        CHECK(most <= 3);
        CHECK(narrow.count().threads <= 3);
    }

    TEST_CASE("idle threads end") {
        weft::thread_pool pool({.workers = 1});
        blocking_pool brief({.threads_max = 4, .idle = 0ms});
        pool.block_on(weft::blocking(brief, [] {}));
        while (brief.count().threads != 0) {
            std::this_thread::yield();
        }
        pool.block_on(weft::blocking(brief, [] {}));
    }

    TEST_CASE("a call wakes one thread, however many wait for one") {
        constexpr unsigned threads = 32;
        constexpr long calls = 500;
        weft::thread_pool pool({.workers = 1});
        blocking_pool wide({.threads_max = threads});
        std::barrier<> all(threads);
        auto work = [&]() -> task<long> {
            std::vector<int> const numbers(threads);
            auto meet = [&](int) { return weft::blocking(wide, [&] { all.arrive_and_wait(); }); };
            co_await weft::for_each(numbers, meet, {.limit = threads});
            while (wide.count().idle != threads) {
                co_await weft::yield();
            }
            long const before = switches_of_threads();
            for (long i = 0; i < calls; ++i) {
                auto nothing = [] {};
                co_await weft::blocking(wide, nothing);
            }
            co_return switches_of_threads() - before;
        };
        CHECK(pool.block_on(work()) < calls * 8);
        CHECK(wide.count().threads == threads);
    }

    TEST_CASE("threads that end as soon as they have nothing to do lose no call") {
        weft::thread_pool pool({.workers = 2});
        std::atomic<int> made = 0;
        for (unsigned round = 0; round < 20; ++round) {
            blocking_pool brief({.threads_max = 4, .idle = 0ms});
            std::vector<int> const numbers(500, 1);
            auto count = [&](int number) {
                return weft::blocking(brief, [&made, number] { made += number; });
            };
            pool.block_on(weft::for_each(numbers, count, {.limit = 1 + round % 8}));
        }
        CHECK(made == 10'000);
    }

    TEST_CASE("a pool may be destroyed when its last call is over, wherever its caller is") {
        weft::thread_pool pool({.workers = 2});
        for (int round = 0; round < 2'000; ++round) {
            blocking_pool brief({.threads_max = 2});
            auto work = [&]() -> task<int> {
                auto one = [] { return 1; };
                int const first = co_await weft::blocking(brief, one);
                int const second = co_await weft::blocking(brief, one);
                co_return first + second;
            };
            CHECK(pool.block_on(work()) == 2);
        }
    }

    TEST_CASE("a call sees the values of its task, and a thread sees none afterwards") {
        weft::thread_pool pool({.workers = 1});
        blocking_pool single({.threads_max = 1});
        auto look = [] {
            std::string const* const found = weft::find_in_call(user);
            return found != nullptr ? *found : std::string("nobody");
        };
        CHECK(pool.block_on(user.with("ada", weft::blocking(single, look))) == "ada");
        CHECK(pool.block_on(weft::blocking(single, look)) == "nobody");
        CHECK(look() == "nobody");
    }

    TEST_CASE("a runtime may end while the thread that made its last call is still leaving") {
        blocking_pool single({.threads_max = 1});
        for (int round = 0; round < 1'000; ++round) {
            weft::thread_pool pool({.workers = 1});
            pool.block_on(weft::blocking(single, [] {}));
        }
        CHECK(single.count().threads == 1);
    }

#if !WEFT_TSAN  // which allows no threads in the child of a process that had several
    TEST_CASE("a child of fork makes calls on a shared pool of its own") {
        auto const call_once = [] {
            weft::thread_pool pool({.workers = 1});
            return pool.block_on(weft::blocking([] { return 1; }));
        };
        CHECK(call_once() == 1);
        death const child = death_of([&] {
            ::alarm(60);
            std::fputs(call_once() == 1 ? "called" : "failed", stderr);
        });
        CHECK(child.signal == 0);
        CHECK(child.text == "called");
    }
#endif

#if !WEFT_TSAN
    TEST_CASE("a call for which memory runs out throws in its task, which is on a worker") {
        weft::thread_pool pool({.workers = 1});
        blocking_pool single({.threads_max = 1});
        bool is_on_worker = true;
        auto work = [&]() -> task<> {
            try {
                // Too large for the frames that are kept: each call allocates.
                auto give = [] { return std::array<char, 4'096>(); };
                auto call = weft::blocking(single, give);
                co_await std::move(call);
            } catch (std::bad_alloc const&) {
                is_on_worker = is_on_worker && weft::detail::current_worker() != nullptr;
                throw;
            }
        };
        CHECK(fail_each_allocation([&] { pool.block_on(work()); }) > 1);
        CHECK(is_on_worker);
    }
#endif

    TEST_CASE("stops that race threads lose no call and leave nothing behind") {
        auto const seed = fresh_seed();
        CAPTURE(seed);
        random_numbers random(seed);
        {
            weft::thread_pool pool({.workers = 2});
            blocking_pool narrow({.threads_max = 1});
            auto one = [&](std::uint64_t delay) -> task<bool> {
                stop_source source;
                std::atomic<int> ran = 0;
                std::string outcome;
                auto call = [&]() -> task<> {
                    auto function = [&] { return ++ran; };
                    task<int> work = weft::blocking(narrow, function);
                    outcome = co_await outcome_under(source.token(), std::move(work));
                };
                auto stop = [&]() -> task<> {
                    for (std::uint64_t i = 0; i < delay; ++i) {
                        co_await weft::yield();
                    }
                    source.request_stop();
                };
                co_await weft::when_all(call(), stop());
                co_return (outcome == "value 1" && ran == 1) || (outcome == "stopped" && ran == 0);
            };
            auto all = [&]() -> task<int> {
                int good = 0;
                for (int i = 0; i < 5'000; ++i) {
                    auto const [a, b] =
                        co_await weft::when_all(one(random.below(40)), one(random.below(40)));
                    good += (a ? 1 : 0) + (b ? 1 : 0);
                }
                co_return good;
            };
            CHECK(pool.block_on(all()) == 10'000);
        }
        CHECK(weft::detail::frame_pool::live_frames() == 0);
    }
}
