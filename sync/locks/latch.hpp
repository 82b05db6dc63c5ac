#pragma once

#include <weft/runtime/wait/wait_list.hpp>

#include <cstddef>

namespace weft {

namespace detail {

struct latch_wait;

/// What a latch is behind its name.
///
/// Protocol. The word holds the count, and `contended` once a task waits.
/// I1 The exchange that brings the count to 0 with nobody waiting is the last access: whoever sees
///    the 0 may destroy the latch. With waiters, the count gets to 0 under lock_ only, and waking
///    them is the last access.
class latch_core {
public:
    static constexpr std::size_t count_max = ~std::size_t{0} >> 1;

    explicit latch_core(std::size_t count);

    latch_core(latch_core const&) = delete;
    latch_core& operator=(latch_core const&) = delete;

    ~latch_core() {
        WEFT_CHECK(waiters_.empty(),
                   "a latch is destroyed while tasks wait for it" WEFT_END_TASKS_FIRST);
    }

    [[nodiscard]] bool is_open() const noexcept {
        // acquire: observe what was written before the count got to 0; pairs with
        // count_down():publish
        return word_.load(acquire) / one == 0;
    }

    [[nodiscard]] std::size_t count() const noexcept {
        // relaxed: hint — stale when others count down
        return word_.load(relaxed) / one;
    }

    void count_down(std::size_t n) noexcept;

    // --- under queue_lock() -----------------------------------------------------------

    /// False when the latch is closed: then the waiter is in the queue.
    [[nodiscard]] bool pass_or_enlist(waiter& waiter) noexcept;

    /// A waiter has left the queue.
    void waiter_left() noexcept;

    [[nodiscard]] wait_lock& queue_lock() noexcept { return lock_; }

private:
    static constexpr std::size_t contended = 1;
    static constexpr std::size_t one = 2;

    [[nodiscard]] bool open(waiter_list& woken) noexcept;

    // --- any thread, atomic (see Protocol) ---------------------------------------
    /// Written by whoever counts down, and by waiters; read by who asks.
    atomic<std::size_t> word_;

    // --- any thread, under lock_ ---------------------------------------------------
    wait_lock lock_;
    waiter_list waiters_;
};

/// For wait_operation: see there.
struct latch_request {
    using wait_type = latch_wait;
    static constexpr bool can_be_branch = true;

    explicit latch_request(latch_core& wanted) noexcept : target(&wanted) {}

    [[nodiscard]] bool try_now() const noexcept { return target->is_open(); }

    void take() const noexcept {}

    void give_back() const noexcept {}

    latch_core* target;
};

struct latch_wait : waiter {
    explicit latch_wait(latch_request const& request) noexcept;

    latch_core* target;
};

}  // namespace detail

/// Counts down to 0, once, and lets everybody through then and for ever.
///
/// Thread safety: every member may be called from any thread at the same time, except the
///     destructor.
/// Cancellation: a stop ends the wait; what was counted down stays so. Success wins: a task that
///     was let through goes on, and a stopped task passes an open latch.
/// Lifetime: must outlive every operation on it. The last task that is let through may destroy it
///     even if the count_down() that let it through has not returned.
/// Resumption: through the waiting task's scheduler, never inside count_down().
/// Complexity: count_down() is one atomic operation; the last one O(1) for each task that waits. No
///     allocation.
/// Errors: std::invalid_argument for a count above count_max. Aborts when it is counted below 0,
///     when it is destroyed while tasks wait, and when a task that no runtime runs would have to
///     wait.
/// Example: examples/shared_state.cpp
class latch {
public:
    using wait_operation = detail::wait_operation<detail::latch_request>;

    static constexpr std::size_t count_max = detail::latch_core::count_max;

    explicit latch(std::size_t count) : core_(count) {}

    /// Counts `n` down; never waits. Outside of tasks, too.
    void count_down(std::size_t n = 1) noexcept { core_.count_down(n); }

    /// Whether the count is 0.
    [[nodiscard]] bool is_open() const noexcept { return core_.is_open(); }

    /// What is left to count down; stale at once when others do.
    [[nodiscard]] std::size_t count() const noexcept { return core_.count(); }

    /// `co_await l.wait()` goes on when the count is 0.
    [[nodiscard]] wait_operation wait() noexcept {
        return wait_operation(detail::latch_request(core_));
    }

    /// Counts `n` down, at once, and gives what waits for the others.
    [[nodiscard]] wait_operation arrive_and_wait(std::size_t n = 1) noexcept {
        core_.count_down(n);
        return wait();
    }

private:
    detail::latch_core core_;
};

}  // namespace weft
