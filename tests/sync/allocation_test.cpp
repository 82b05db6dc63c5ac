#include <weft/runtime/sleep.hpp>
#include <weft/runtime/thread_pool.hpp>
#include <weft/runtime/when_all.hpp>
#include <weft/sync/barrier.hpp>
#include <weft/sync/broadcast.hpp>
#include <weft/sync/channel.hpp>
#include <weft/sync/condition.hpp>
#include <weft/sync/event.hpp>
#include <weft/sync/latch.hpp>
#include <weft/sync/mutex.hpp>
#include <weft/sync/once.hpp>
#include <weft/sync/priority_channel.hpp>
#include <weft/sync/select.hpp>
#include <weft/sync/semaphore.hpp>
#include <weft/sync/shared_mutex.hpp>
#include <weft/sync/wait_list.hpp>
#include <weft/sync/watch.hpp>
#include <weft/tests/support/allocations.hpp>

#include <doctest/doctest.h>

#include <array>
#include <cstddef>
#include <optional>
#include <vector>

// No operation of sync/ takes memory, whether it waits or not: two tasks hold each other up again
// and again, and the memory that is asked for meanwhile is counted.

namespace {

using weft::task;
using weft::test::allocations;

// Where an operation waits in the first task until the second one, started later, lets it go on.

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

    weft::mutex primitive;
};

struct writer_turn {
    void hold() { (void)primitive.try_lock(); }

    task<> wait() { auto const guard = co_await primitive.scoped_lock(); }

    task<> let_go() {
        primitive.unlock();
        co_return;
    }

    weft::shared_mutex primitive;
};

struct reader_turn {
    void hold() { (void)primitive.try_lock(); }

    task<> wait() { auto const guard = co_await primitive.scoped_lock_shared(); }

    task<> let_go() {
        primitive.unlock();
        co_return;
    }

    weft::shared_mutex primitive;
};

struct semaphore_turn {
    void hold() {}

    task<> wait() { co_await primitive.acquire(2); }

    task<> let_go() {
        primitive.release(2);
        co_return;
    }

    weft::semaphore primitive{0};
};

struct auto_event_turn {
    void hold() {}

    task<> wait() { co_await primitive.wait(); }

    task<> let_go() {
        primitive.set();
        co_return;
    }

    weft::auto_reset_event primitive;
};

struct manual_event_turn {
    void hold() { primitive.reset(); }

    task<> wait() { co_await primitive.wait(); }

    task<> let_go() {
        primitive.set();
        co_return;
    }

    weft::manual_reset_event primitive;
};

struct latch_turn {
    void hold() { primitive.emplace(1U); }

    task<> wait() { co_await primitive->wait(); }

    task<> let_go() {
        primitive->count_down();
        co_return;
    }

    std::optional<weft::latch> primitive;
};

struct barrier_turn {
    void hold() {}

    task<> wait() { co_await primitive.arrive_and_wait(); }

    task<> let_go() { co_await primitive.arrive_and_wait(); }

    weft::barrier<> primitive{2};
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
        co_await weft::yield();
        auto const guard = co_await lock.scoped_lock();
        happened = true;
        primitive.notify_one();
    }

    weft::mutex lock;
    weft::condition_variable primitive;
    bool happened = false;
};

/// The body is a task, whose frame comes from the pool.
struct once_turn {
    void hold() { primitive.emplace(); }

    task<> wait() {
        co_await primitive->call([]() -> task<> { co_await weft::yield(); });
    }

    task<> let_go() {
        co_await primitive->call([]() -> task<> { co_return; });
    }

    std::optional<weft::once> primitive;
};

template <class Channel>
struct recv_turn {
    void hold() {}

    task<> wait() { (void)co_await primitive.recv(); }

    task<> let_go() { co_await primitive.send(1); }

    Channel primitive{1};
};

struct rendezvous : weft::channel<int> {
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
    weft::channel<int> primitive{2};
};

struct broadcast_turn {
    void hold() {}

    task<> wait() { (void)co_await reader.recv(); }

    task<> let_go() {
        (void)primitive.send(1);
        co_return;
    }

    weft::broadcast<int> primitive{2};
    weft::broadcast_receiver<int> reader = primitive.subscribe();
};

struct watch_turn {
    void hold() {}

    task<> wait() { (void)co_await reader.recv(); }

    task<> let_go() {
        (void)primitive.send(1);
        co_return;
    }

    weft::watch<int> primitive{0};
    weft::broadcast_receiver<int> reader = primitive.subscribe();
};

struct select_turn {
    void hold() { (void)lock.try_lock(); }

    task<> wait() {
        auto const won = co_await weft::select(lock.lock(), values.recv(), permits.acquire());
        lock.unlock();
        CHECK(won.index() == 0);
    }

    task<> let_go() {
        lock.unlock();
        co_return;
    }

    weft::mutex lock;
    weft::channel<int> values{1};
    weft::semaphore permits{0};
};

template <class Turn>
task<> begin_to_wait(Turn& turn, bool& begun) {
    begun = true;
    co_await turn.wait();
}

template <class Turn>
task<> let_go_afterwards(Turn& turn, bool const& begun, int& in_order) {
    in_order += begun ? 1 : 0;
    co_await turn.let_go();
}

template <class Turn>
task<> take_turn(Turn& turn, int& in_order) {
    bool begun = false;
    turn.hold();
    (void)co_await weft::when_all(begin_to_wait(turn, begun),
                                  let_go_afterwards(turn, begun, in_order));
}

template <class Turn>
task<std::size_t> allocations_of(Turn& turn, int rounds) {
    int in_order = 0;
    for (int i = 0; i < 100; ++i) {
        co_await take_turn(turn, in_order);  // fills the pools of frames
    }
    std::size_t const before = allocations;
    for (int i = 0; i < rounds; ++i) {
        co_await take_turn(turn, in_order);
    }
    CHECK(in_order == 100 + rounds);
    co_return allocations - before;
}

}  // namespace

TEST_SUITE("sync/allocation") {
    TEST_CASE_TEMPLATE("an operation that waits, and the one that wakes it, take no memory",
                       Turn,
                       mutex_turn,
                       writer_turn,
                       reader_turn,
                       semaphore_turn,
                       auto_event_turn,
                       manual_event_turn,
                       latch_turn,
                       barrier_turn,
                       condition_turn,
                       once_turn,
                       recv_turn<weft::channel<int>>,
                       recv_turn<rendezvous>,
                       recv_turn<weft::priority_channel<int>>,
                       send_turn<weft::channel<int>>,
                       send_turn<rendezvous>,
                       send_turn<weft::priority_channel<int>>,
                       bulk_turn,
                       broadcast_turn,
                       watch_turn,
                       select_turn) {
        weft::thread_pool pool(1);
        Turn turn;
        CHECK(pool.block_on(allocations_of(turn, 1'000)) == 0);
    }
}
