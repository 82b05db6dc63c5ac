#pragma once

#include <type_traits>

namespace weft::detail {

/// What becomes of a value whose type is a reference where only objects can be kept, as in a vector
/// or a variant: a pointer.
template <class T>
using object_t = std::conditional_t<std::is_reference_v<T>, std::remove_reference_t<T>*, T>;

/// What an expression of type `T` is kept as when the full expression is over: an lvalue reference
/// stays one.
template <class T>
using kept_t = std::conditional_t<std::is_lvalue_reference_v<T>, T, std::remove_cvref_t<T>>;

/// `value` as an object_t<T>.
template <class T>
[[nodiscard]] constexpr object_t<T> as_object(T&& value) {
    if constexpr (std::is_reference_v<T>) {
        return __builtin_addressof(value);
    } else {
        return static_cast<T&&>(value);
    }
}

/// True when a `T`, a reference, that is made of a `U` refers to an object which is gone when the
/// expression that made it ends. An rvalue counts as such an object for an lvalue reference.
template <class T, class U>
inline constexpr bool refers_to_temporary = false;

template <class T, class U>
    requires std::is_reference_v<T>
inline constexpr bool refers_to_temporary<T, U> =
    !(std::is_convertible_v<std::remove_reference_t<U>*, std::remove_reference_t<T>*> &&
      (std::is_lvalue_reference_v<U> || std::is_rvalue_reference_v<T>)) &&
    std::is_convertible_v<U, std::remove_cvref_t<T>&&>;

}  // namespace weft::detail
