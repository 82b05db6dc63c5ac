#pragma once

/// The values of a join's children, and where they wait for the parent.

#include <weft/runtime/task/as_result.hpp>
#include <weft/runtime/task/task.hpp>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <new>
#include <system_error>
#include <type_traits>
#include <utility>

namespace weft {

/// Stands for the result of a task<void> where a value is needed.
struct unit {
    friend bool operator==(unit, unit) noexcept { return true; }
};

namespace detail {

template <class T>
using join_value_t = std::conditional_t<std::is_void_v<T>, unit, std::remove_const_t<T>>;

/// Where a child's value waits for the parent. Made and ended by those who know whether there is
/// one.
template <class T>
class result_slot {
    using stored = std::conditional_t<std::is_reference_v<T>, std::remove_reference_t<T>*, T>;

    // Placed by hand where a coroutine frame might not be aligned enough.
    static constexpr bool over_aligned = alignof(stored) > alignof(std::max_align_t);

public:
    /// A nested child hands its value over itself. Otherwise put() does, which may throw.
    static constexpr bool is_handed_over = std::is_nothrow_move_constructible_v<stored>;

    result_slot() noexcept {}

    result_slot(result_slot const&) = delete;
    result_slot& operator=(result_slot const&) = delete;

    ~result_slot() {}

    [[nodiscard]] void* place() noexcept {
        if constexpr (over_aligned) {
            auto const address = reinterpret_cast<std::uintptr_t>(&storage_);
            return storage_ + (-address & (alignof(stored) - 1));
        } else {
            return storage_;
        }
    }

    /// Requires: `child` has ended with a value.
    void put(task_promise<T>& child) noexcept(is_handed_over) {
        if constexpr (std::is_reference_v<T>) {
            ::new (place()) stored(__builtin_addressof(child.take_value()));
        } else {
            ::new (place()) stored(child.take_value());
        }
    }

    [[nodiscard]] join_value_t<T> take() noexcept(is_handed_over) {
        if constexpr (std::is_reference_v<T>) {
            return static_cast<T>(*value());
        } else {
            return std::move(value());
        }
    }

    void end() noexcept { value().~stored(); }

private:
    [[nodiscard]] stored& value() noexcept { return *std::launder(static_cast<stored*>(place())); }

    alignas(over_aligned ? alignof(std::max_align_t) : alignof(stored)) unsigned char storage_
        [over_aligned ? sizeof(stored) + alignof(stored) : sizeof(stored)];
};

/// Its place tells children apart, as every slot's does.
template <>
class result_slot<void> {
public:
    static constexpr bool is_handed_over = true;

    [[nodiscard]] void* place() noexcept { return this; }

    static void put(task_promise<void>&) noexcept {}

    [[nodiscard]] static unit take() noexcept { return {}; }

    static void end() noexcept {}

private:
    [[maybe_unused]] char unused_;
};

/// For settle_child().
template <class T>
struct into_slot {
    result_slot<T>& slot;

    void operator()(task_promise<T>& child) const noexcept(result_slot<T>::is_handed_over) {
        slot.put(child);
    }
};

/// Why an awaited join of the result form has no values; no code if it has.
template <class Join>
[[nodiscard]] std::error_code code_of_join(Join const& join) {
    if (std::exception_ptr const error = join.error()) {
        return error_code_of(error);
    }
    return join.was_stopped() ? make_error_code(std::errc::operation_canceled) : std::error_code();
}

/// Gives the outcome of `child`, number `index` of `join`, to `put(promise)` or to the join, and
/// destroys its frame. How it ended for the join.
template <class T, class Join, class Put>
[[nodiscard]] outcome settle_child(Join& join,
                                   promise_base& child,
                                   std::size_t index,
                                   Put put) noexcept {
    auto& finished = static_cast<task_promise<T>&>(child);
    outcome ended = finished.outcome_;
    if (ended == outcome::error) [[unlikely]] {
        join.note_error(index, finished.error());
    } else if (ended == outcome::value) {
        if constexpr (noexcept(put(finished))) {
            put(finished);
        } else {
            try {
                put(finished);
            } catch (...) {
                join.note_error(index, std::current_exception());
                ended = outcome::error;
            }
        }
    }
    finished.handle().destroy();
    return ended;
}

}  // namespace detail

}  // namespace weft
