#pragma once

/// The co-operative budget: how often a coroutine may go on at once because what it waits for is
/// there already. One that has used it up stands behind the others for once, so that neither they
/// nor I/O and timers starve beside it.
///
/// Everything that can be awaited and need not wait spends it, but for a plain await of a task,
/// which is a call, and for fork-joins, which have a budget of their own (worker::spend_fork).
///
/// An operation that can complete without waiting does this:
///     spend_budget(), and try; when that fails for want of budget, look at the stop (S3 of
///     promise.hpp) and try while the coroutine is suspended, and give_way() if it has succeeded
///     then.
/// What waits for other coroutines lets its own go on by go_on() (pass_stop.hpp).

#include <weft/runtime/base/config.hpp>

#include <cstdint>

namespace weft::detail {

class promise_base;

inline constexpr std::uint32_t ready_budget_full = 64;

/// What is left to the coroutine that this thread runs. A worker fills it up whenever it takes a
/// coroutine from a queue. Defined in promise.cpp, beside the other words that a thread keeps for
/// the coroutine that it runs.
WEFT_STATIC_TLS extern constinit thread_local std::uint32_t ready_budget;

[[nodiscard]] WEFT_ALWAYS_INLINE bool budget_is_spent() noexcept {
    return ready_budget == 0;
}

/// Counts an operation that completes without waiting. False when the caller should wait its turn.
[[nodiscard]] WEFT_ALWAYS_INLINE bool spend_budget() noexcept {
    if (budget_is_spent()) [[unlikely]] {
        return false;
    }
    --ready_budget;
    return true;
}

/// The operation of the suspended coroutine has completed, and its budget is spent: true when it
/// has been put behind the others. Not off a worker, where there are none: false. Defined in
/// sched/pass_stop.cpp, since it needs the worker.
[[nodiscard]] WEFT_COLD bool give_way(promise_base& waiter) noexcept;

}  // namespace weft::detail
