#pragma once

#include <utility>

namespace weft {

/// Holds a lock of one of the mutexes, and unlocks it when destroyed: what `scoped_lock()` yields.
///
/// Thread safety: as for a plain value; may be destroyed on another thread than it was made on.
/// Cancellation: never suspends. The unwinding of a stopped task unlocks.
/// Lifetime: the mutex must outlive it.
/// Complexity: O(1).
/// Errors: none.
/// Example: examples/shared_state.cpp
template <class Core, void (Core::*Unlock)() noexcept>
class [[nodiscard]] lock_guard {
public:
    /// Holds nothing.
    lock_guard() noexcept = default;

    /// Takes over a lock that is held.
    explicit lock_guard(Core& locked) noexcept : held_(&locked) {}

    lock_guard(lock_guard&& other) noexcept : held_(std::exchange(other.held_, nullptr)) {}

    lock_guard& operator=(lock_guard&& other) noexcept {
        lock_guard(std::move(other)).swap(*this);
        return *this;
    }

    ~lock_guard() { unlock(); }

    void swap(lock_guard& other) noexcept { std::swap(held_, other.held_); }

    /// Whether it holds a lock.
    [[nodiscard]] explicit operator bool() const noexcept { return held_ != nullptr; }

    /// Unlocks now what it holds.
    void unlock() noexcept {
        if (Core* const held = std::exchange(held_, nullptr); held != nullptr) {
            (held->*Unlock)();
        }
    }

    /// For the library: what it holds, or null.
    [[nodiscard]] Core* held() const noexcept { return held_; }

private:
    Core* held_ = nullptr;
};

}  // namespace weft
