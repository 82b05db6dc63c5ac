#pragma once

/// A lock that is held for a few instructions, and taken far too often for a system call.
///
/// Waiters stay away for a microsecond or two before they look again, then give the processor away,
/// since the holder may have been preempted. unlock() is one store and the last access, so that
/// whoever sees what the lock protects may destroy it, lock included.

#include <weft/runtime/base/atomic.hpp>

namespace weft::detail {

/// Waits for something that another thread is about to do.
class spin_pause {
public:
    void once() noexcept {
        if (rounds_ < spins_max) {
            ++rounds_;
            cpu_relax();
        } else {
            give_processor_away();
        }
    }

private:
    static constexpr unsigned spins_max = 64;

    WEFT_COLD static void give_processor_away() noexcept;

    unsigned rounds_ = 0;
};

class brief_lock {
public:
    brief_lock() noexcept = default;
    brief_lock(brief_lock const&) = delete;
    brief_lock& operator=(brief_lock const&) = delete;

    WEFT_ALWAYS_INLINE void lock() noexcept {
        // acquire: claim the lock and observe what it protects; pairs with unlock():publish. The
        // loser waits.
        if (held_.exchange(true, acquire)) [[unlikely]] {
            lock_contended();
        }
    }

    WEFT_ALWAYS_INLINE void unlock() noexcept {
        // release: publish what the lock protects; pairs with lock():claim
        held_.store(false, release);
    }

private:
    WEFT_COLD void lock_contended() noexcept;

    /// Written by whoever takes or leaves the lock, read by those who wait for it.
    atomic<bool> held_{false};
};

class [[nodiscard]] brief_guard {
public:
    explicit brief_guard(brief_lock& target) noexcept : target_(target) { target_.lock(); }

    brief_guard(brief_guard const&) = delete;
    brief_guard& operator=(brief_guard const&) = delete;

    ~brief_guard() { target_.unlock(); }

private:
    brief_lock& target_;
};

/// Gives back a lock that is held already.
class [[nodiscard]] held_guard {
public:
    explicit held_guard(brief_lock& target) noexcept : target_(target) {}

    held_guard(held_guard const&) = delete;
    held_guard& operator=(held_guard const&) = delete;

    ~held_guard() { target_.unlock(); }

private:
    brief_lock& target_;
};

}  // namespace weft::detail
