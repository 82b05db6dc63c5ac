#pragma once

/// Concepts for what can stand behind co_await, and the type it yields.

#include <concepts>
#include <coroutine>
#include <type_traits>
#include <utility>

namespace weft {

namespace detail {

/// For an assertion that fails wherever it is instantiated.
template <class...>
inline constexpr bool never = false;

template <class T>
concept has_member_co_await = requires(T&& value) { static_cast<T&&>(value).operator co_await(); };

template <class T>
concept has_free_co_await = requires(T&& value) { operator co_await(static_cast<T&&>(value)); };

template <class T>
decltype(auto) awaiter_of(T&& value) {
    if constexpr (has_member_co_await<T>) {
        return static_cast<T&&>(value).operator co_await();
    } else if constexpr (has_free_co_await<T>) {
        return operator co_await(static_cast<T&&>(value));
    } else {
        return static_cast<T&&>(value);
    }
}

}  // namespace detail

/// A type with the three functions that co_await calls.
template <class T>
concept awaiter = requires(std::remove_reference_t<T>& value) {
    { value.await_ready() } -> std::convertible_to<bool>;
    value.await_resume();
};

/// A type that may stand behind co_await in a weft coroutine.
template <class T>
concept awaitable = requires(T&& value) {
    { detail::awaiter_of(static_cast<T&&>(value)) } -> awaiter;
};

/// What `co_await` of a `T` yields.
template <awaitable T>
using await_result_t =
    decltype(std::declval<
                 std::remove_reference_t<decltype(detail::awaiter_of(std::declval<T>()))>&>()
                 .await_resume());

}  // namespace weft
