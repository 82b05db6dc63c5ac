#pragma once

#include <weft/runtime/wait/wait_list.hpp>
#include <weft/sync/locks/lock_guard.hpp>

#include <cstddef>

namespace weft {

namespace detail {

struct shared_mutex_wait;

/// What a shared mutex is behind its name.
///
/// Protocol. The word: `writer` | `contended` (tasks wait; then it changes under lock_ only) |
/// the number of readers.
/// I1 A contended word leaves the fast paths no way: who comes queues behind the others, reader or
///    writer. So neither kind can keep the other out.
/// I2 While tasks wait, the first of them cannot be let in: it is a writer, or a writer is inside.
///    (Branches of decided selects aside, which are about to leave.)
/// I3 Who leaves a mutex that nobody waits for does so by one exchange, the last access: whoever
///    locks then may destroy the mutex.
class shared_mutex_core {
public:
    shared_mutex_core() noexcept = default;
    shared_mutex_core(shared_mutex_core const&) = delete;
    shared_mutex_core& operator=(shared_mutex_core const&) = delete;

    ~shared_mutex_core() {
        WEFT_CHECK(waiters_.empty(),
                   "a shared_mutex is destroyed while tasks wait for it" WEFT_END_TASKS_FIRST);
        // relaxed: own — whoever destroys it is the only one left
        WEFT_ASSERT(word_.load(relaxed) == 0, "a shared_mutex is destroyed while it is locked");
    }

    [[nodiscard]] bool try_lock() noexcept {
        std::size_t expected = 0;
        // acquire: claim the mutex and observe what its last holders wrote; pairs with
        // unlock():publish and unlock_shared():publish. The loser (relaxed: hint) waits, or is
        // told.
        return word_.compare_exchange_strong(expected, writer, acquire, relaxed);
    }

    [[nodiscard]] bool try_lock_shared() noexcept {
        // relaxed: hint — the exchange decides
        std::size_t word = word_.load(relaxed);
        while ((word & (writer | contended)) == 0) {
            // acquire: claim a place and observe what the last writer wrote; pairs with
            // unlock():publish. The loser (relaxed: hint) looks again.
            if (word_.compare_exchange_weak(word, word + reader, acquire, relaxed)) {
                return true;
            }
        }
        return false;
    }

    void unlock() noexcept {
        std::size_t expected = writer;
        // release: publish what the writer wrote; pairs with try_lock():claim and
        // try_lock_shared():claim. The loser (relaxed: hint) finds tasks waiting.
        if (!word_.compare_exchange_strong(expected, 0, release, relaxed)) [[unlikely]] {
            unlock_contended();
        }
    }

    void unlock_shared() noexcept {
        // relaxed: hint — the exchange decides
        std::size_t word = word_.load(relaxed);
        while ((word & contended) == 0 && word >= reader) [[likely]] {
            // release: publish that the reader has read; pairs with try_lock():claim. The loser
            // (relaxed: hint) looks again.
            if (word_.compare_exchange_weak(word, word - reader, release, relaxed)) {
                return;
            }
        }
        unlock_shared_contended();
    }

    // --- under queue_lock() -----------------------------------------------------------

    /// Locks, or puts the waiter into the queue.
    [[nodiscard]] bool lock_or_enlist(shared_mutex_wait& wait) noexcept;

    /// A waiter has left the queue: readers behind a writer that has left can come in.
    void waiter_left(waiter_list& woken) noexcept;

    [[nodiscard]] wait_lock& queue_lock() noexcept { return lock_; }

private:
    static constexpr std::size_t writer = 1;
    static constexpr std::size_t contended = 2;
    static constexpr std::size_t reader = 4;

    WEFT_COLD void unlock_contended() noexcept;
    WEFT_COLD void unlock_shared_contended() noexcept;
    void admit_next(std::size_t holders, waiter_list& woken) noexcept;

    // --- any thread, atomic (see Protocol) ---------------------------------------
    /// Written by whoever locks and unlocks.
    atomic<std::size_t> word_{0};

    // --- any thread, under lock_ ---------------------------------------------------
    wait_lock lock_;
    waiter_list waiters_;
};

}  // namespace detail

/// Hold a shared_mutex, alone or with others.
using shared_mutex_guard =
    lock_guard<detail::shared_mutex_core, &detail::shared_mutex_core::unlock>;
using shared_guard =
    lock_guard<detail::shared_mutex_core, &detail::shared_mutex_core::unlock_shared>;

namespace detail {

/// For wait_operation: see there.
struct shared_mutex_request {
    using wait_type = shared_mutex_wait;
    static constexpr bool can_be_branch = true;

    shared_mutex_request(shared_mutex_core& wanted, bool alone) noexcept
        : target(&wanted)
        , exclusive(alone) {}

    void take() const noexcept {}

    shared_mutex_core* target;
    bool exclusive;
};

struct exclusive_request : shared_mutex_request {
    explicit exclusive_request(shared_mutex_core& wanted) noexcept
        : shared_mutex_request(wanted, true) {}

    [[nodiscard]] bool try_now() const noexcept { return target->try_lock(); }

    void give_back() const noexcept { target->unlock(); }
};

struct shared_request : shared_mutex_request {
    explicit shared_request(shared_mutex_core& wanted) noexcept
        : shared_mutex_request(wanted, false) {}

    [[nodiscard]] bool try_now() const noexcept { return target->try_lock_shared(); }

    void give_back() const noexcept { target->unlock_shared(); }
};

struct shared_mutex_wait : waiter {
    explicit shared_mutex_wait(shared_mutex_request const& request) noexcept;

    shared_mutex_core* target;
    bool exclusive;
};

}  // namespace detail

/// Lets many readers in at a time, or one writer; the others wait without blocking their threads.
///
/// Fair: tasks get in in the order in which they began to wait, neighbouring readers together. A
/// reader does not overtake a writer that waits, nor the other way round, so neither kind starves.
/// Not recursive: a reader that locks again may wait behind a writer that waits for it.
///
/// Thread safety: every member may be called from any thread at the same time, except the
///     destructor; `unlock` and `unlock_shared` by holders only.
/// Cancellation: a stop takes a waiting task out of the queue, and readers behind a writer that is
///     stopped come in at once. Success wins: a task that was let in goes on, and a stopped task
///     locks what is free.
/// Lifetime: must outlive every operation on it. The last task that is let in may destroy it even
///     if the unlock that let it in has not returned.
/// Resumption: through the waiting task's scheduler, never inside an unlock.
/// Complexity: O(1), and O(1) for each reader that is let in; no allocation; one atomic operation
///     while nobody waits.
/// Errors: none. Aborts when it is unlocked by who does not hold it as far as that shows, when it
///     is destroyed while tasks wait, and when a task that no runtime runs would have to wait.
/// Example: examples/shared_state.cpp
class shared_mutex {
public:
    using guard = shared_mutex_guard;
    using shared_guard = weft::shared_guard;
    using lock_operation = detail::wait_operation<detail::exclusive_request>;
    using lock_shared_operation = detail::wait_operation<detail::shared_request>;
    using scoped_lock_operation =
        detail::wait_operation<detail::guarded_request<detail::exclusive_request, guard>>;
    using scoped_lock_shared_operation =
        detail::wait_operation<detail::guarded_request<detail::shared_request, shared_guard>>;

    /// `co_await m.lock()` locks for writing; an unlock() must follow.
    [[nodiscard]] lock_operation lock() noexcept {
        return lock_operation(detail::exclusive_request(core_));
    }

    /// `co_await m.lock_shared()` locks for reading; an unlock_shared() must follow.
    [[nodiscard]] lock_shared_operation lock_shared() noexcept {
        return lock_shared_operation(detail::shared_request(core_));
    }

    /// `auto guard = co_await m.scoped_lock()` locks for writing until the guard is destroyed.
    [[nodiscard]] scoped_lock_operation scoped_lock() noexcept {
        return scoped_lock_operation(
            detail::guarded_request<detail::exclusive_request, guard>(core_));
    }

    /// `auto guard = co_await m.scoped_lock_shared()` locks for reading until the guard is
    /// destroyed.
    [[nodiscard]] scoped_lock_shared_operation scoped_lock_shared() noexcept {
        return scoped_lock_shared_operation(
            detail::guarded_request<detail::shared_request, shared_guard>(core_));
    }

    /// Locks for writing if that needs no waiting; outside of tasks, too.
    [[nodiscard]] bool try_lock() noexcept { return core_.try_lock(); }

    /// Locks for reading if that needs no waiting: not while a writer waits.
    [[nodiscard]] bool try_lock_shared() noexcept { return core_.try_lock_shared(); }

    /// The same, with a guard that holds the lock, or nothing.
    [[nodiscard]] guard try_scoped_lock() noexcept {
        return core_.try_lock() ? guard(core_) : guard();
    }

    [[nodiscard]] shared_guard try_scoped_lock_shared() noexcept {
        return core_.try_lock_shared() ? shared_guard(core_) : shared_guard();
    }

    /// The writer. Lets in who is first in the queue.
    void unlock() noexcept { core_.unlock(); }

    /// A reader. The last one lets in who is first in the queue.
    void unlock_shared() noexcept { core_.unlock_shared(); }

private:
    detail::shared_mutex_core core_;
};

}  // namespace weft
