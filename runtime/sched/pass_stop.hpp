#pragma once

/// How a coroutine goes on that waited for others, and how a stop is passed to it. promise.hpp has
/// the rules (S1 to S3).

#include <weft/runtime/coro/promise.hpp>
#include <weft/runtime/coro/ready_budget.hpp>

#include <concepts>
#include <coroutine>
#include <cstdint>

namespace weft::detail {

/// What a coroutine's own stop does to it where it has ended an await.
enum class when_stopped : std::uint8_t {
    unwind,
    tell,    ///< it goes on, if it has not been told before, and is unwound otherwise
    resume,  ///< it goes on: for what has to see to something before the stop goes on
};

/// Passes a stop on to a coroutine that waits for whoever was stopped: it is unwound, soon, on the
/// current worker. Gives what runs next.
[[nodiscard]] std::coroutine_handle<> pass_stop(promise_base& waiter) noexcept;

/// Once for each await that the coroutine's own stop has ended. True: unwind it. False: let it go
/// on; with tell, it counts as told from now on (S1).
[[nodiscard]] bool take_stop(promise_base& waiter, when_stopped policy) noexcept;

/// The same; passes the stop on, or lets the coroutine go on. Gives what runs next.
[[nodiscard]] std::coroutine_handle<> end_by_stop(promise_base& waiter,
                                                  when_stopped policy) noexcept;

/// What the coroutine waited for has ended, perhaps without waiting. Gives what runs next: the
/// coroutine, or others first when its budget is spent.
[[nodiscard]] std::coroutine_handle<> go_on(promise_base& waiter) noexcept;

/// The suspended coroutine waits for nothing, and its budget is spent: it is unwound if it is
/// stopped, or stands behind the others. False when it goes on at once.
[[nodiscard]] bool wait_a_turn(promise_base& waiter) noexcept;

/// At the end of a child: true for one that was stopped. Its frame goes before anybody hears of it:
/// somebody may wait for what is in it.
[[nodiscard]] inline bool end_if_stopped(promise_base& child) noexcept {
    if (child.outcome_ != outcome::stopped) {
        return false;
    }
    child.handle().destroy();
    return true;
}

/// Between two steps that may never wait: ends a task that is stopped, and lets others run now and
/// then.
class [[nodiscard]] checkpoint {
public:
    checkpoint() noexcept {}

    [[nodiscard]] bool await_ready() const noexcept { return false; }

    template <std::derived_from<promise_base> Promise>
    [[nodiscard]] std::coroutine_handle<> await_suspend(
        std::coroutine_handle<Promise> coroutine) const noexcept {
        promise_base& promise = coroutine.promise();
        return promise.stop().stop_requested() ? pass_stop(promise) : go_on(promise);
    }

    void await_resume() const noexcept {}
};

}  // namespace weft::detail
