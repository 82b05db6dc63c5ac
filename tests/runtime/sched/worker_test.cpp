#include <weft/runtime/sched/worker.hpp>

#include <weft/runtime/join/when_all.hpp>
#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/scope/scope.hpp>
#include <weft/runtime/testing/test_runtime.hpp>
#include <weft/runtime/time/sleep.hpp>
#include <weft/tests/support/wake_place.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include <poll.h>
#include <unistd.h>

namespace {

using namespace std::chrono_literals;
using weft::nursery;
using weft::task;
using weft::test::wake_place;

// More than a ready ring holds.
constexpr std::size_t crowd = 3'000;
constexpr std::size_t turns = 4;

task<> take_turns(std::size_t self, std::vector<std::size_t>& order) {
    for (std::size_t turn = 0; turn < turns; ++turn) {
        order.push_back(turn * crowd + self);
        co_await weft::yield();
    }
}

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
            co_await left.wait();
        }
    };
    auto pong = [&]() -> task<> {
        for (bool is_last = false; !is_last;) {
            co_await right.wait();
            is_last = is_over;
            left.wake();
        }
    };
    co_await weft::when_all(ping(), pong());
}

/// How often the threads of the process have gone to sleep so far, the calling one excepted.
long sleeps_of_others() {
    long sum = 0;
    std::string const self = std::to_string(::gettid());
    for (auto const& thread : std::filesystem::directory_iterator("/proc/self/task")) {
        if (thread.path().filename() == self) {
            continue;
        }
        std::ifstream status(thread.path() / "status");
        std::string word;
        while (status >> word) {
            long count = 0;
            if (word == "voluntary_ctxt_switches:" && status >> count) {
                sum += count;
            }
        }
    }
    return sum;
}

/// A stretch in which no worker wakes up; none, if there is a periodic wake-up.
bool comes_to_rest() {
    for (int attempt = 0; attempt < 50; ++attempt) {
        long const before = sleeps_of_others();
        ::poll(nullptr, 0, 50);  // the stretch that is looked at
        if (sleeps_of_others() == before) {
            return true;
        }
    }
    return false;
}

}  // namespace

TEST_SUITE("runtime/worker") {
    TEST_CASE("ready coroutines run first come, first served, however many there are") {
        weft::thread_pool pool({.workers = 1});
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
        weft::thread_pool pool({.workers = 4});
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
        weft::thread_pool pool({.workers = 1});
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
        weft::thread_pool pool({.workers = 1});
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

    TEST_CASE("forks that lead back to the loop let a timer fire there") {
        // Virtual time stands still meanwhile, and the forks lead back each time they may.
        weft::test::runtime rt;
        bool is_over = false;
        unsigned forks = 0;
        auto leaf = []() -> task<int> { co_return 1; };
        auto fork = [&]() -> task<> {
            while (!is_over) {
                ++forks;
                co_await weft::when_all(leaf(), leaf());
            }
        };
        auto sleeper = [&]() -> task<> {
            co_await weft::sleep_for(0ns);
            is_over = true;
        };
        auto work = [&]() -> task<> { co_await weft::when_all(sleeper(), fork()); };
        rt.block_on(work());
        CHECK(forks <= 2 * weft::detail::worker::fork_budget);
    }

    TEST_CASE("forks that lead back to the loop let a foreign thread's task begin") {
        weft::test::runtime rt;
        std::atomic<bool> is_forking = false;
        std::atomic<bool> is_posted = false;
        bool is_over = false;
        unsigned forks = 0;
        auto leaf = []() -> task<int> { co_return 1; };
        auto fork = [&]() -> task<> {
            is_forking = true;
            is_forking.notify_one();
            while (!is_over) {
                forks += is_posted ? 1 : 0;
                co_await weft::when_all(leaf(), leaf());
            }
        };
        auto posted = [&]() -> task<> {
            is_over = true;
            co_return;
        };
        std::thread foreign([&] {
            is_forking.wait(false);
            auto handle = rt.spawn(posted());
            is_posted = true;
        });
        auto work = [&]() -> task<> { co_await fork(); };
        rt.block_on(work());
        foreign.join();
        CHECK(forks <= 2 * weft::detail::worker::fork_budget);
    }

    TEST_CASE("a crowd on one worker is shared with another") {
        weft::thread_pool pool({.workers = 2});
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
        weft::thread_pool pool({.workers = 2});
        auto const start = weft::clock::now();
        auto const used_before = processor_time();
        pool.block_on(play_ping_pong(std::chrono::milliseconds(100)));
        // On a busy machine less is used in the same time.
        CHECK(processor_time() - used_before < 1.5 * (weft::clock::now() - start));
    }

    TEST_CASE("workers without work do not wake up, whatever they did before") {
        weft::thread_pool pool({.workers = 3});
        CHECK(comes_to_rest());
        pool.block_on(play_ping_pong(std::chrono::milliseconds(20)));
        CHECK(comes_to_rest());
    }

    TEST_CASE("a task that is left behind by a long run is found, though others come and go") {
        weft::thread_pool pool({.workers = 2});
        std::atomic<bool> was_found = false;
        auto find = [&]() -> task<> {
            was_found = true;
            co_return;
        };
        auto work = [&]() -> task<> {
            auto body = [&](nursery& children) -> task<> {
                // The other worker has learnt that single coroutines are not worth its while.
                co_await play_ping_pong(std::chrono::milliseconds(5));
                children.spawn(find());
                while (!was_found) {
                }
            };
            co_await weft::scope(body);
        };
        for (int round = 0; round < 20; ++round) {
            was_found = false;
            pool.block_on(work());
        }
        CHECK(was_found);
    }

    TEST_CASE("a task that is left behind is found where time stands still, too") {
        weft::test::runtime runtime({.workers = 2});
        std::atomic<bool> was_found = false;
        auto find = [&]() -> task<> {
            was_found = true;
            co_return;
        };
        auto work = [&]() -> task<> {
            auto body = [&](nursery& children) -> task<> {
                for (int i = 0; i < 10'000; ++i) {
                    co_await weft::yield();
                }
                children.spawn(find());
                auto const start = std::chrono::steady_clock::now();
                while (!was_found && std::chrono::steady_clock::now() - start < 10s) {
                }
                CHECK(was_found);
            };
            co_await weft::scope(body);
        };
        for (int round = 0; round < 20; ++round) {
            was_found = false;
            runtime.block_on(work());
        }
    }
}
