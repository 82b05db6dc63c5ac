#pragma once

/// Where an operation of sync/ holds a task up until a second task lets it go on.
///
/// A turn:
///     hold()      before: what is waited for is not there
///     wait()      the first task, which waits
///     let_go()    the second one, which begins when the first waits
/// Then the turn is as it was, and hold() may follow again.

#include <weft/runtime/task/task.hpp>
#include <weft/runtime/time/sleep.hpp>
#include <weft/sync/channels/broadcast.hpp>
#include <weft/sync/channels/channel.hpp>
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

#include <array>
#include <optional>
#include <vector>

namespace weft::test {

struct mutex_turn {
    void hold() { (void)primitive.try_lock(); }

    task<> wait() {
        co_await primitive.lock();
        primitive.unlock();
    }

    task<> let_go() {
        primitive.unlock();
        co_return;
    }

    mutex primitive;
};

struct writer_turn {
    void hold() { (void)primitive.try_lock(); }

    task<> wait() { auto const guard = co_await primitive.scoped_lock(); }

    task<> let_go() {
        primitive.unlock();
        co_return;
    }

    shared_mutex primitive;
};

struct reader_turn {
    void hold() { (void)primitive.try_lock(); }

    task<> wait() { auto const guard = co_await primitive.scoped_lock_shared(); }

    task<> let_go() {
        primitive.unlock();
        co_return;
    }

    shared_mutex primitive;
};

struct semaphore_turn {
    void hold() {}

    task<> wait() { co_await primitive.acquire(2); }

    task<> let_go() {
        primitive.release(2);
        co_return;
    }

    semaphore primitive{0};
};

struct auto_event_turn {
    void hold() {}

    task<> wait() { co_await primitive.wait(); }

    task<> let_go() {
        primitive.set();
        co_return;
    }

    auto_reset_event primitive;
};

struct manual_event_turn {
    void hold() { primitive.reset(); }

    task<> wait() { co_await primitive.wait(); }

    task<> let_go() {
        primitive.set();
        co_return;
    }

    manual_reset_event primitive;
};

struct latch_turn {
    void hold() { primitive.emplace(1U); }

    task<> wait() { co_await primitive->wait(); }

    task<> let_go() {
        primitive->count_down();
        co_return;
    }

    std::optional<latch> primitive;
};

struct barrier_turn {
    void hold() {}

    task<> wait() { co_await primitive.arrive_and_wait(); }

    task<> let_go() { co_await primitive.arrive_and_wait(); }

    barrier<> primitive{2};
};

struct condition_turn {
    void hold() { happened = false; }

    task<> wait() {
        auto guard = co_await lock.scoped_lock();
        co_await primitive.wait(guard);
        co_await primitive.wait(guard, [this] { return happened; });
    }

    task<> let_go() {
        primitive.notify_one();
        co_await yield();
        auto const guard = co_await lock.scoped_lock();
        happened = true;
        primitive.notify_one();
    }

    mutex lock;
    condition_variable primitive;
    bool happened = false;
};

/// The body is a task, whose frame comes from the pool.
struct once_turn {
    void hold() { primitive.emplace(); }

    task<> wait() {
        co_await primitive->call([]() -> task<> { co_await yield(); });
    }

    task<> let_go() {
        co_await primitive->call([]() -> task<> { co_return; });
    }

    std::optional<once> primitive;
};

template <class Channel>
struct recv_turn {
    void hold() {}

    task<> wait() { (void)co_await primitive.recv(); }

    task<> let_go() { co_await primitive.send(1); }

    Channel primitive{1};
};

struct rendezvous : channel<int> {
    explicit rendezvous(int) : channel(0) {}
};

template <class Channel>
struct send_turn {
    void hold() {}

    task<> wait() {
        co_await primitive.send(1);
        co_await primitive.send(2);
    }

    task<> let_go() {
        (void)co_await primitive.recv();
        (void)co_await primitive.recv();
    }

    Channel primitive{1};
};

struct bulk_turn {
    void hold() {}

    task<> wait() {
        auto next = numbers.begin();
        co_await primitive.send_many(next, numbers.end());
    }

    task<> let_go() {
        while (received.size() < numbers.size()) {
            (void)co_await primitive.recv_many(received, 8);
        }
        received.clear();
    }

    std::array<int, 16> numbers{};
    std::vector<int> received;
    channel<int> primitive{2};
};

struct broadcast_turn {
    void hold() {}

    task<> wait() { (void)co_await reader.recv(); }

    task<> let_go() {
        (void)primitive.send(1);
        co_return;
    }

    broadcast<int> primitive{2};
    broadcast_receiver<int> reader = primitive.subscribe();
};

struct watch_turn {
    watch_turn() { (void)reader.try_recv(); }

    void hold() {}

    task<> wait() { (void)co_await reader.recv(); }

    task<> let_go() {
        (void)primitive.send(1);
        co_return;
    }

    watch<int> primitive{0};
    broadcast_receiver<int> reader = primitive.subscribe();
};

struct select_turn {
    void hold() { (void)lock.try_lock(); }

    task<> wait() {
        auto const won = co_await select(lock.lock(), values.recv(), permits.acquire());
        lock.unlock();
        CHECK(won.index() == 0);
    }

    task<> let_go() {
        lock.unlock();
        co_return;
    }

    mutex lock;
    channel<int> values{1};
    semaphore permits{0};
};

#define WEFT_SYNC_TURNS                                                                       \
    mutex_turn, writer_turn, reader_turn, semaphore_turn, auto_event_turn, manual_event_turn, \
        latch_turn, barrier_turn, condition_turn, once_turn, recv_turn<weft::channel<int>>,   \
        recv_turn<rendezvous>, recv_turn<weft::priority_channel<int>>,                        \
        send_turn<weft::channel<int>>, send_turn<rendezvous>,                                 \
        send_turn<weft::priority_channel<int>>, bulk_turn, broadcast_turn, watch_turn, select_turn

}  // namespace weft::test
