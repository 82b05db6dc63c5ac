#pragma once

/// Stacks of fibers: mapped, guarded and pooled.
///
/// Protocol. A stack belongs to whoever holds the object, and when that is destroyed, to a pool of
/// the process, which gives it out again: the one that came back last first, since its pages are
/// there. The pool has a list for each size, which is a power of two, and is a mutex.
/// I1 No stack is without a guard: what is written below its lowest byte faults. Where the system
///    has no room for one more guard, there is no stack.
/// I2 A stack is given back by who runs on another one.
/// I3 The pool keeps at most `pooled_max` bytes, counted as if all of them had been used. What is
///    beyond goes back to the system, unless that refuses: to unmap a part of a mapping may need
///    one mapping more.
///
/// The guard costs no mapping of its own where the kernel has MADV_GUARD_INSTALL (Linux 6.13);
/// elsewhere, and with WEFT_GUARD_INSTALL=0, it is a page without rights, and each stack takes two
/// of the vm.max_map_count mappings that a process may have.

#include <weft/runtime/base/config.hpp>

#include <cstddef>
#include <utility>

namespace weft::detail {

class fiber_stack {
public:
    static constexpr std::size_t size_min = std::size_t{16} * 1024;
    static constexpr std::size_t size_max = std::size_t{1} << 30U;
    static constexpr std::size_t pooled_max = std::size_t{64} << 20U;

    /// A sanitizer's frames are several times as large: so is what is mapped for them.
    static constexpr std::size_t scale = asan_enabled || tsan_enabled ? 4 : 1;

    /// None.
    fiber_stack() noexcept = default;

    /// Any thread. Of at least `size` bytes, times `scale`. Throws std::system_error, also where
    /// there is no room for the guard. Requires: size_min to size_max.
    explicit fiber_stack(std::size_t size);

    fiber_stack(fiber_stack&& other) noexcept
        : bottom_(std::exchange(other.bottom_, nullptr))
        , size_(other.size_) {}

    fiber_stack& operator=(fiber_stack&& other) noexcept {
        fiber_stack taken(std::move(other));
        std::swap(bottom_, taken.bottom_);
        std::swap(size_, taken.size_);
        return *this;
    }

    /// Any thread. Gives the stack back, if there is one (I2).
    ~fiber_stack() {
        if (bottom_ != nullptr) {
            give_back();
        }
    }

    [[nodiscard]] explicit operator bool() const noexcept { return bottom_ != nullptr; }

    /// The lowest byte that may be used.
    [[nodiscard]] std::byte* bottom() const noexcept { return bottom_; }

    /// Behind the highest one. Aligned as a page is.
    [[nodiscard]] std::byte* top() const noexcept { return bottom_ + size_; }

    [[nodiscard]] std::size_t size() const noexcept { return size_; }

    /// Whether what faulted at `address` was an access to the guard. Safe in a signal handler.
    [[nodiscard]] bool guards(void const* address) const noexcept;

    /// Any thread. Bytes of the stacks that wait in the pool.
    [[nodiscard]] static std::size_t pooled_bytes() noexcept;

    /// Any thread. Gives what waits in the pool back to the system.
    static void trim() noexcept;

private:
    void give_back() noexcept;

    std::byte* bottom_ = nullptr;
    std::size_t size_ = 0;
};

}  // namespace weft::detail
