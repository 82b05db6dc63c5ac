#pragma once

/// The values of a join's children, and where they wait for the parent.

#include <weft/runtime/task.hpp>

#include <cstddef>
#include <exception>
#include <type_traits>
#include <utility>

namespace weft {

/// Stands for the result of a task<void> where a value is needed.
struct unit {
    friend bool operator==(unit, unit) noexcept { return true; }
};

namespace detail {

template <class T>
using join_value_t = std::conditional_t<std::is_void_v<T>, unit, T>;

/// Where a nested child leaves its value. Made and ended by those who know whether there is one.
template <class T>
class result_slot {
    using stored = std::conditional_t<std::is_reference_v<T>, std::remove_reference_t<T>*, T>;

public:
    /// A bigger value waits in its frame instead, and one whose move might fail.
    static constexpr bool is_used = std::is_nothrow_move_constructible_v<stored> &&
                                    sizeof(stored) <= 64 &&
                                    alignof(stored) <= alignof(std::max_align_t);

    result_slot() noexcept {}

    result_slot(result_slot const&) = delete;
    result_slot& operator=(result_slot const&) = delete;

    ~result_slot() {}

    [[nodiscard]] void* place() noexcept { return &place_; }

    [[nodiscard]] join_value_t<T> take() noexcept {
        if constexpr (std::is_reference_v<T>) {
            return static_cast<T>(*place_.value);
        } else {
            return std::move(place_.value);
        }
    }

    void end() noexcept { place_.value.~stored(); }

private:
    struct nothing {};

    union storage {
        storage() noexcept {}

        ~storage() {}

        std::conditional_t<is_used, stored, nothing> value;
    } place_;
};

template <>
class result_slot<void> {
public:
    static constexpr bool is_used = true;

    [[nodiscard]] static void* place() noexcept { return nullptr; }

    [[nodiscard]] static unit take() noexcept { return {}; }

    static void end() noexcept {}
};

/// Requires: ended with a value.
template <class T>
[[nodiscard]] WEFT_ALWAYS_INLINE join_value_t<T> take_value(promise_base& child) {
    auto& finished = static_cast<task_promise<T>&>(child);
    if constexpr (std::is_void_v<T>) {
        (void)finished;
        return unit{};
    } else {
        return finished.take_value();
    }
}

/// Rethrows the child's error, if it failed.
template <class T>
void rethrow_error(promise_base& child) {
    if (child.outcome_ == outcome::error) {
        std::rethrow_exception(static_cast<task_promise<T>&>(child).error());
    }
}

}  // namespace detail

}  // namespace weft
