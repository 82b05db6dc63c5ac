#include <weft/runtime/coro/ready_budget.hpp>

#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/scope/scope.hpp>
#include <weft/runtime/task/as_result.hpp>
#include <weft/runtime/time/sleep.hpp>
#include <weft/sync/channels/broadcast.hpp>
#include <weft/sync/channels/channel.hpp>
#include <weft/sync/channels/oneshot.hpp>
#include <weft/sync/channels/priority_channel.hpp>
#include <weft/sync/channels/watch.hpp>
#include <weft/sync/locks/barrier.hpp>
#include <weft/sync/locks/condition.hpp>
#include <weft/sync/locks/event.hpp>
#include <weft/sync/locks/latch.hpp>
#include <weft/sync/locks/mutex.hpp>
#include <weft/sync/locks/once.hpp>
#include <weft/sync/locks/semaphore.hpp>
#include <weft/sync/locks/shared_mutex.hpp>
#include <weft/sync/select.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <system_error>
#include <vector>

// Whoever finds ready what it waits for, again and again, must not keep the worker for itself.

namespace {

using namespace std::chrono_literals;
using weft::nursery;
using weft::task;

/// Each has turn(): an await that never has to wait.
struct mutex_turns {
    task<> turn() {
        co_await primitive.lock();
        primitive.unlock();
    }

    weft::mutex primitive;
};

struct scoped_lock_turns {
    task<> turn() { auto const guard = co_await primitive.scoped_lock(); }

    weft::mutex primitive;
};

struct result_lock_turns {
    task<> turn() {
        auto const locked = co_await (primitive.lock() | weft::as_result);
        if (locked) {
            primitive.unlock();
        } else {
            CHECK(locked.error() == std::errc::operation_canceled);
        }
    }

    weft::mutex primitive;
};

struct reader_turns {
    task<> turn() {
        co_await primitive.lock_shared();
        primitive.unlock_shared();
    }

    weft::shared_mutex primitive;
};

struct writer_turns {
    task<> turn() {
        co_await primitive.lock();
        primitive.unlock();
    }

    weft::shared_mutex primitive;
};

struct semaphore_turns {
    task<> turn() {
        co_await primitive.acquire();
        primitive.release();
    }

    weft::semaphore primitive{1};
};

struct manual_event_turns {
    manual_event_turns() { primitive.set(); }

    task<> turn() { co_await primitive.wait(); }

    weft::manual_reset_event primitive;
};

struct auto_event_turns {
    task<> turn() {
        primitive.set();
        co_await primitive.wait();
    }

    weft::auto_reset_event primitive;
};

struct latch_turns {
    task<> turn() { co_await primitive.wait(); }

    weft::latch primitive{0};
};

struct barrier_turns {
    task<> turn() { co_await primitive.arrive_and_wait(); }

    weft::barrier<> primitive{1};
};

struct predicate_turns {
    task<> turn() {
        auto guard = co_await lock.scoped_lock();
        for (int i = 0; i < 1'000'000 && !*ended; ++i) {
            co_await primitive.wait(guard, [] { return true; });
            ++*turns;
        }
    }

    weft::mutex lock;
    weft::condition_variable primitive;
    std::atomic<bool>* ended = nullptr;
    std::atomic<int>* turns = nullptr;
};

struct once_turns {
    task<> turn() {
        auto const nothing = []() -> task<> { co_return; };
        co_await primitive.call(nothing);
    }

    weft::once primitive;
};

task<int> number() {
    co_return 1;
}

struct lazy_turns {
    task<> turn() { (void)co_await primitive.value(); }

    weft::lazy<int> primitive{number};
};

struct channel_turns {
    task<> turn() {
        co_await numbers.send(1);
        (void)co_await numbers.recv();
    }

    weft::channel<int> numbers{2};
};

struct recv_turns {
    task<> turn() {
        (void)numbers.try_send(1);
        (void)co_await numbers.recv();
    }

    weft::unbounded_channel<int> numbers;
};

struct dropping_turns {
    task<> turn() { co_await numbers.send(1); }

    weft::channel<int> numbers{1, weft::full_policy::drop_oldest};
};

struct bulk_turns {
    task<> turn() {
        std::vector<int> values(3, 1);
        auto next = values.begin();
        co_await numbers.send_many(next, values.end());
        std::vector<int> taken;
        (void)co_await numbers.recv_many(taken, 8);
    }

    weft::channel<int> numbers{8};
};

struct priority_turns {
    task<> turn() {
        (void)numbers.try_send(1);
        (void)co_await numbers.recv();
    }

    weft::priority_channel<int> numbers{1};
};

struct oneshot_turns {
    task<> turn() {
        auto [answer, wanted] = weft::make_oneshot<int>();
        (void)answer.send(1);
        (void)co_await wanted.recv();
    }
};

struct closed_turns {
    closed_turns() { numbers.close(); }

    task<> turn() { (void)co_await numbers.recv(); }

    weft::channel<int> numbers{1};
};

struct broadcast_turns {
    task<> turn() {
        (void)news.send(1);
        (void)co_await reader.recv();
    }

    weft::broadcast<int> news{1};
    weft::broadcast_receiver<int> reader = news.subscribe();
};

struct watch_turns {
    task<> turn() {
        (void)value.send(1);
        (void)co_await reader.recv();
    }

    weft::watch<int> value{0};
    weft::broadcast_receiver<int> reader = value.subscribe();
};

struct select_turns {
    task<> turn() {
        (void)b.try_send(1);
        (void)co_await weft::select(a.recv(), b.recv(), weft::sleep_for(48h));
    }

    weft::channel<int> a{0};
    weft::channel<int> b{1};
};

template <class Turns>
task<> turn_until(Turns& site, std::atomic<bool>& ended, std::atomic<int>& turns) {
    if constexpr (requires { site.turns = &turns; }) {
        site.ended = &ended;
        site.turns = &turns;
    }
    for (; turns < 1'000'000 && !ended; ++turns) {
        co_await site.turn();
    }
}

}  // namespace

TEST_SUITE("sync/ready_budget") {
    TEST_CASE_TEMPLATE("what never has to wait starves neither other tasks nor timers",
                       Turns,
                       mutex_turns,
                       scoped_lock_turns,
                       result_lock_turns,
                       reader_turns,
                       writer_turns,
                       semaphore_turns,
                       manual_event_turns,
                       auto_event_turns,
                       latch_turns,
                       barrier_turns,
                       predicate_turns,
                       once_turns,
                       lazy_turns,
                       channel_turns,
                       recv_turns,
                       dropping_turns,
                       bulk_turns,
                       priority_turns,
                       oneshot_turns,
                       closed_turns,
                       broadcast_turns,
                       watch_turns,
                       select_turns) {
        weft::thread_pool pool({.workers = 1});
        Turns site;
        std::atomic<bool> ran = false;
        std::atomic<bool> slept = false;
        std::atomic<int> turns = 0;
        int turns_before = 0;
        auto other = [&]() -> task<> {
            turns_before = turns;
            ran = true;
            co_return;
        };
        auto sleeper = [&]() -> task<> {
            co_await weft::sleep_for(1us);
            slept = true;
        };
        auto work = [&]() -> task<> {
            auto body = [&](nursery& n) -> task<> {
                n.spawn(sleeper());
                n.spawn(other());
                co_await turn_until(site, slept, turns);
            };
            co_await weft::scope(body);
        };
        pool.block_on(work());
        CHECK(turns_before < 200);
        CHECK(turns < 1'000'000);
    }

    TEST_CASE_TEMPLATE("an endless loop over what never has to wait ends under a stop",
                       Turns,
                       mutex_turns,
                       scoped_lock_turns,
                       result_lock_turns,
                       reader_turns,
                       writer_turns,
                       semaphore_turns,
                       manual_event_turns,
                       auto_event_turns,
                       latch_turns,
                       barrier_turns,
                       predicate_turns,
                       once_turns,
                       lazy_turns,
                       channel_turns,
                       recv_turns,
                       dropping_turns,
                       bulk_turns,
                       priority_turns,
                       oneshot_turns,
                       closed_turns,
                       broadcast_turns,
                       watch_turns,
                       select_turns) {
        weft::thread_pool pool({.workers = 1});
        Turns site;
        std::atomic<bool> never = false;
        std::atomic<int> turns = 0;
        auto work = [&]() -> task<> {
            auto body = [&](nursery& n) -> task<> {
                n.spawn(turn_until(site, never, turns));
                while (turns < 100) {
                    co_await weft::yield();
                }
                n.request_stop();
            };
            co_await weft::scope(body);
        };
        pool.block_on(work());
        CHECK(turns >= 100);
        CHECK(turns < 1'000'000);
    }

    TEST_CASE("a thread without a worker goes on for ever") {
        weft::mutex primitive;
        auto work = [&]() -> task<int> {
            int rounds = 0;
            for (; rounds < 1'000; ++rounds) {
                co_await primitive.lock();
                primitive.unlock();
            }
            co_return rounds;
        };
        CHECK(weft::sync_wait(work()) == 1'000);
    }
}
