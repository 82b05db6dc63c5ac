#include <weft/runtime/wait/wait_list.hpp>

#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/sched/scheduler.hpp>
#include <weft/runtime/time/sleep.hpp>

#include <doctest/doctest.h>

#include <coroutine>

namespace {

using weft::task;
using weft::detail::waiter;
using weft::detail::waiter_list;

struct toy_wait;

/// A resource that is handed over, and given back by who cannot take it.
struct toy {
    weft::detail::brief_lock lock;
    waiter_list waiters;
    int delivered = 0;
    int given_back = 0;
};

struct toy_request {
    using wait_type = toy_wait;

    [[nodiscard]] bool try_now() const noexcept { return false; }

    void take() const noexcept {}

    void give_back() const noexcept { ++target->given_back; }

    toy* target;
};

struct toy_wait : waiter {
    explicit toy_wait(toy_request const& request) noexcept
        : waiter(request.target->lock, rules)
        , target(request.target) {}

    static bool enlist(waiter& self) noexcept {
        static_cast<toy_wait&>(self).target->waiters.push_back(self);
        return false;
    }

    /// Tells, and does not make the coroutine ready.
    static void deliver(waiter& self) noexcept { ++static_cast<toy_wait&>(self).target->delivered; }

    static constexpr weft::detail::wait_rules rules{"toy", &enlist, nullptr, &deliver};

    toy* target;
};

using toy_operation = weft::detail::wait_operation<toy_request>;

}  // namespace

TEST_SUITE("sync/wait_list") {
    TEST_CASE("an operation whose grant nobody has taken gives it back when it is destroyed") {
        weft::thread_pool pool({.workers = 1});
        toy resource;
        auto work = [&]() -> task<> {
            co_await weft::yield();
            // The operation of a coroutine that is never resumed, by hand.
            weft::detail::scheduler& here = weft::detail::require_worker("this").sched();
            weft::detail::promise_base coroutine;
            auto const handle =
                std::coroutine_handle<weft::detail::promise_base>::from_promise(coroutine);
            weft::detail::stop_state late;
            weft::detail::context const stopped_late(&here, &late);
            coroutine.context_ = &stopped_late;
            {
                toy_operation operation(toy_request{&resource});
                CHECK_FALSE(operation.await_ready());
                CHECK(operation.await_suspend(handle));
                waiter_list woken;
                if (waiter* const first = resource.waiters.front(); first != nullptr) {
                    CHECK(first->grant(woken));
                }
                wake_all(woken);
                CHECK(resource.delivered == 1);
                late.request_stop();  // success wins
                CHECK(resource.delivered == 1);
                CHECK(resource.given_back == 0);
            }
            CHECK(resource.given_back == 1);
            weft::detail::stop_state early;
            weft::detail::context const stopped_early(&here, &early);
            coroutine.context_ = &stopped_early;
            {
                toy_operation operation(toy_request{&resource});
                CHECK(operation.await_suspend(handle));
                early.request_stop();
                CHECK(resource.delivered == 2);
                CHECK(resource.waiters.empty());
            }
            CHECK(resource.given_back == 1);  // a stopped one has nothing
        };
        pool.block_on(work());
    }
}
