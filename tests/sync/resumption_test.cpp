#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/sched/worker.hpp>
#include <weft/runtime/scope/scope.hpp>
#include <weft/sync/channels/oneshot.hpp>
#include <weft/sync/locks/once.hpp>
#include <weft/tests/support/let_others_run.hpp>
#include <weft/tests/support/sync_turns.hpp>

#include <doctest/doctest.h>

#include <optional>
#include <thread>
#include <utility>

// Who waits for a task of another runtime goes on in its own, and never inside the one that woke
// it. Each runtime has one worker here, so that a task that strays is seen on another one.

namespace {

using weft::nursery;
using weft::task;
using namespace weft::test;

struct oneshot_turn {
    void hold() {}

    task<> wait() { (void)co_await ends.second.recv(); }

    task<> let_go() {
        (void)ends.first.send(1);
        co_return;
    }

    std::pair<weft::oneshot_sender<int>, weft::oneshot_receiver<int>> ends =
        weft::make_oneshot<int>();
};

/// The task waits for somebody else's run; if that fails, its own follows.
template <bool Succeeds>
struct once_waiter_turn {
    struct note_worker {
        task<> operator()() const {
            *ran_on = weft::detail::current_worker();
            co_return;
        }

        weft::detail::worker** ran_on;
    };

    using call = weft::detail::once_call<note_worker>;

    void hold() { CHECK(primitive.try_start()); }

    task<> wait() {
        weft::detail::worker* const home = weft::detail::current_worker();
        weft::detail::worker* ran_on = nullptr;
        co_await weft::detail::once_operation<call>(call(primitive, note_worker{&ran_on}));
        CHECK(ran_on == (Succeeds ? nullptr : home));
    }

    task<> let_go() {
        primitive.finish(Succeeds);
        co_return;
    }

    weft::detail::once_core primitive;
};

/// Its predicate is asked on a worker in the task's stead, of the task's runtime.
struct predicate_turn {
    void hold() {}

    task<> wait() {
        weft::detail::worker* const home = weft::detail::current_worker();
        auto guard = co_await lock.scoped_lock();
        auto const predicate = [&] {
            strayed = strayed || weft::detail::current_worker() != home;
            return happened;
        };
        co_await primitive.wait(guard, predicate);
        CHECK_FALSE(strayed);
    }

    task<> let_go() {
        auto guard = co_await lock.scoped_lock();
        primitive.notify_one();
        happened = true;
    }

    weft::mutex lock;
    weft::condition_variable primitive;
    bool happened = false;
    bool strayed = false;
};

/// The worker does not change while `work` runs.
task<> run_in_one_place(task<> work, bool& strayed) {
    weft::detail::worker* const place = weft::detail::current_worker();
    co_await std::move(work);
    strayed = weft::detail::current_worker() != place;
}

}  // namespace

TEST_SUITE("sync/resumption") {
    TEST_CASE_TEMPLATE("a task that another runtime wakes goes on in its own",
                       Turn,
                       WEFT_SYNC_TURNS,
                       oneshot_turn,
                       once_waiter_turn<true>,
                       once_waiter_turn<false>,
                       predicate_turn) {
        weft::thread_pool home({.workers = 1});
        weft::thread_pool abroad({.workers = 1});
        Turn turn;
        bool waiter_strayed = true;
        bool waker_strayed = true;
        std::thread waker;
        auto let_go_abroad = [&] {
            abroad.block_on(run_in_one_place(turn.let_go(), waker_strayed));
        };
        auto work = [&]() -> task<> {
            auto body = [&](nursery& n) -> task<> {
                turn.hold();
                n.spawn(run_in_one_place(turn.wait(), waiter_strayed));
                co_await let_others_run();
                waker = std::thread(let_go_abroad);
            };
            co_await weft::scope(body);
        };
        home.block_on(work());
        waker.join();
        CHECK_FALSE(waiter_strayed);
        CHECK_FALSE(waker_strayed);
    }
}
