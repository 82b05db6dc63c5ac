/// Naps: sleeps with a deadline, of a worker that watches for a single coroutine left behind
/// (worker.hpp, idle_set I5). In models one coroutine that comes and goes makes a worker nap.

#include <weft/runtime/thread_pool.hpp>
#include <weft/tests/model/stepper.hpp>

#include <doctest/doctest.h>

#include <concepts>
#include <coroutine>

namespace model = weft::model;

namespace {

using event = weft::detail::thread_event;

/// The coroutine goes behind those that are ready on its worker; nobody is woken for it.
struct give_way {
    [[nodiscard]] bool await_ready() const noexcept { return false; }

    template <std::derived_from<weft::detail::promise_base> Promise>
    void await_suspend(std::coroutine_handle<Promise> waiter) const noexcept {
        weft::detail::current_worker()->push_yielded(waiter.promise());
    }

    void await_resume() const noexcept {}
};

weft::task<> signal(event& happened) {
    happened.signal();
    co_return;
}

/// Turns its ring over, so that the other worker may nap, and leaves one coroutine behind: only the
/// other can run it.
template <int Rounds>
weft::task<> leave_one_behind() {
    event happened;
    for (int i = 0; i < Rounds; ++i) {
        co_await give_way();
    }
    weft::spawn(signal(happened));
    happened.wait();
}

template <int Rounds>
void left_behind() {
    weft::thread_pool pool(2);
    pool.block_on(leave_one_behind<Rounds>());
}

/// The single coroutine comes when the watch may be over already.
weft::task<> leave_one_behind_twice() {
    for (int i = 0; i < 2; ++i) {
        event happened;
        co_await give_way();
        weft::spawn(signal(happened));
        happened.wait();
    }
}

void left_behind_twice() {
    weft::thread_pool pool(2);
    pool.block_on(leave_one_behind_twice());
}

weft::task<> turn_over(model::plain<int>& ended) {
    co_await give_way();
    ended.write(1);
}

/// A worker that naps is told of the end like one that sleeps.
void end_in_a_nap() {
    model::plain<int> ended{0};
    {
        weft::thread_pool pool(2);
        pool.spawn(turn_over(ended));
    }
    model::expect(ended.read() == 1, "a task did not run");
}

}  // namespace

TEST_SUITE("model/nap") {
    TEST_CASE("a single coroutine that its worker leaves behind is found by the one that naps") {
        CHECK(model::explore("left_behind", &left_behind<1>, {.stale_reads = 0}));
        CHECK(model::explore(
            "left_behind_stale", &left_behind<1>, {.preemptions = 1, .stale_reads = 1}));
        CHECK(model::explore("left_behind_later", &left_behind<2>, {.stale_reads = 0}));
    }

    TEST_CASE("whoever ends the watch sees to what came while it lasted") {
        CHECK(model::explore(
            "left_behind_twice", &left_behind_twice, {.preemptions = 1, .stale_reads = 0}));
    }

    TEST_CASE("a pool ends whose workers nap") {
        CHECK(model::explore("end_in_a_nap", &end_in_a_nap, {.stale_reads = 0}));
    }
}
