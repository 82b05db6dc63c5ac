#pragma once

/// The values of a join's children, and where they wait for the parent.

#include <weft/runtime/task/as_result.hpp>
#include <weft/runtime/task/task.hpp>
#include <weft/runtime/values/outcome_slot.hpp>

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

/// The value of a child, for the parent.
template <class T>
[[nodiscard]] join_value_t<T> take_join_value(outcome_slot<T>& slot) noexcept(
    outcome_slot<T>::moves_without_throwing) {
    if constexpr (std::is_void_v<T>) {
        return unit();
    } else {
        return slot.take();
    }
}

/// For settle_child().
template <class T>
struct into_slot {
    outcome_slot<T>& slot;

    void operator()(task_promise<T>& child) const
        noexcept(outcome_slot<T>::moves_without_throwing) {
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
