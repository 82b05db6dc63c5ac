#pragma once

#include <weft/runtime/wait/wait_list.hpp>
#include <weft/sync/locks/lock_guard.hpp>

#include <cstdint>

namespace weft {

namespace detail {

/// What a mutex is behind its name.
class mutex_core {
public:
    mutex_core() noexcept = default;
    mutex_core(mutex_core const&) = delete;
    mutex_core& operator=(mutex_core const&) = delete;

    ~mutex_core() {
        WEFT_CHECK(waiters_.empty(),
                   "a mutex is destroyed while tasks wait for it" WEFT_END_TASKS_FIRST);
        // relaxed: own — whoever destroys it is the only one left
        WEFT_ASSERT(word_.load(relaxed) == unlocked, "a mutex is destroyed while it is locked");
    }

    [[nodiscard]] bool try_lock() noexcept {
        std::uint32_t expected = unlocked;
        // acquire: claim the mutex and observe what its last holder wrote; pairs with
        // unlock():publish. The loser (relaxed: hint) waits, or is told.
        return word_.compare_exchange_strong(expected, locked, acquire, relaxed);
    }

    void unlock() noexcept {
        std::uint32_t expected = locked;
        // release: publish what the holder wrote; pairs with try_lock():claim. The loser (relaxed:
        // hint) finds tasks waiting.
        if (!word_.compare_exchange_strong(expected, unlocked, release, relaxed)) [[unlikely]] {
            hand_over();
        }
    }

    // --- under queue_lock() ----------------------------------------------------------------

    /// Locks, or puts the waiter into the queue.
    [[nodiscard]] bool lock_or_enlist(waiter& waiter) noexcept;

    /// A waiter has left the queue.
    void waiter_left() noexcept;

    [[nodiscard]] wait_lock& queue_lock() noexcept { return lock_; }

private:
    // `contended`: locked, and the list is not empty; entered and left under lock_ only.
    static constexpr std::uint32_t unlocked = 0;
    static constexpr std::uint32_t locked = 1;
    static constexpr std::uint32_t contended = 2;

    WEFT_COLD void hand_over() noexcept;
    [[nodiscard]] bool grant_first(waiter_list& woken) noexcept;

    // --- any thread, atomic ---------------------------------------------------------
    /// Written by whoever locks and unlocks.
    atomic<std::uint32_t> word_{unlocked};

    // --- any thread, under lock_ ---------------------------------------------------
    wait_lock lock_;
    waiter_list waiters_;
};

struct mutex_wait;

/// For wait_operation: see there.
struct lock_request {
    using wait_type = mutex_wait;
    static constexpr bool can_be_branch = true;

    explicit lock_request(mutex_core& wanted) noexcept : target(&wanted) {}

    [[nodiscard]] bool try_now() const noexcept { return target->try_lock(); }

    void take() const noexcept {}

    void give_back() const noexcept { target->unlock(); }

    mutex_core* target;
};

struct mutex_wait : waiter {
    explicit mutex_wait(lock_request const& request) noexcept;

    mutex_core* target;
};

}  // namespace detail

/// Holds a mutex.
using mutex_guard = lock_guard<detail::mutex_core, &detail::mutex_core::unlock>;

/// Lets one task at a time in; the others wait without blocking their threads.
///
/// Fair: tasks get the mutex in the order in which they began to wait. unlock() hands it to the
/// first of them, and nobody gets in between. Not recursive, and not tied to a thread: whoever
/// holds it may suspend, and unlock it on another worker.
///
/// Thread safety: every member may be called from any thread at the same time, except the
///     destructor; `unlock` by the holder only.
/// Cancellation: a stop takes a waiting task out of the queue. Success wins: a task that was handed
///     the mutex goes on with it, and a free mutex is locked by a stopped task too.
/// Lifetime: must outlive every operation on it. The last task that is let in may destroy it even
///     if the unlock() that let it in has not returned.
/// Resumption: through the waiting task's scheduler, never inside unlock().
/// Complexity: O(1), no allocation; one atomic operation while nobody waits.
/// Errors: none. Aborts when an unlocked mutex is unlocked, when it is destroyed while tasks wait,
///     and when a task that no runtime runs would have to wait.
/// Example: examples/shared_state.cpp
class mutex {
public:
    using guard = mutex_guard;
    using lock_operation = detail::wait_operation<detail::lock_request>;
    using scoped_lock_operation =
        detail::wait_operation<detail::guarded_request<detail::lock_request, guard>>;

    /// `co_await m.lock()` locks; an unlock() must follow.
    [[nodiscard]] lock_operation lock() noexcept {
        return lock_operation(detail::lock_request(core_));
    }

    /// `auto guard = co_await m.scoped_lock()` locks until the guard is destroyed.
    [[nodiscard]] scoped_lock_operation scoped_lock() noexcept {
        return scoped_lock_operation(detail::guarded_request<detail::lock_request, guard>(core_));
    }

    /// Locks if that needs no waiting; outside of tasks, too.
    [[nodiscard]] bool try_lock() noexcept { return core_.try_lock(); }

    /// The same, with a guard that holds the mutex, or nothing.
    [[nodiscard]] guard try_scoped_lock() noexcept {
        return core_.try_lock() ? guard(core_) : guard();
    }

    /// Holder. Lets the first waiting task in.
    void unlock() noexcept { core_.unlock(); }

private:
    detail::mutex_core core_;
};

}  // namespace weft
