#pragma once

/// Makes a task of whatever can be awaited, and of whatever gives it when it is called.

#include <weft/runtime/base/invoke.hpp>
#include <weft/runtime/base/reference.hpp>
#include <weft/runtime/task/task.hpp>

#include <concepts>
#include <type_traits>
#include <utility>

namespace weft {

namespace detail {

/// Whether a callable is called as an rvalue, its arguments too, as std::thread does; otherwise as
/// lvalues, so that it may take its arguments by T&.
template <class Function, class... Arguments>
inline constexpr bool takes_rvalues = std::invocable<Function, Arguments...>;

template <class Function, class... Arguments>
struct call_result : std::invoke_result<Function&, Arguments&...> {};

template <class Function, class... Arguments>
    requires takes_rvalues<Function, Arguments...>
struct call_result<Function, Arguments...> : std::invoke_result<Function, Arguments...> {};

template <class Function, class... Arguments>
using call_result_t =
    typename call_result<std::decay_t<Function>, std::decay_t<Arguments>...>::type;

/// A callable that gives something to await when it is called with copies of these arguments.
template <class Function, class... Arguments>
concept gives_awaitable = requires { typename call_result_t<Function, Arguments...>; } &&
                          awaitable<call_result_t<Function, Arguments...>>;

/// What a task that awaits an `Awaitable` gives.
template <class Awaitable>
using awaited_t = kept_t<await_result_t<Awaitable>>;

/// Of a task<T> that functions of the library work on; a task<T const> becomes one first.
template <class T>
concept plain_value = !std::is_const_v<T>;

template <class T>
inline constexpr bool is_plain_task = false;

template <plain_value T>
inline constexpr bool is_plain_task<task<T>> = true;

/// What a function that works on a task takes in place of one; as_task() makes one of it.
template <class Work>
concept no_plain_task = !is_plain_task<std::remove_cvref_t<Work>>;

template <class Work>
concept becomes_task = awaitable<Work> || gives_awaitable<Work>;

template <class Function, class... Arguments>
using call_task = task<awaited_t<call_result_t<Function, Arguments...>>>;

// These write the call out: what an argument is converted to lives until the await ends.

template <class Function, class... Arguments>
call_task<Function, Arguments...> call_object(Function function, Arguments... arguments) {
    if constexpr (std::is_member_pointer_v<Function>) {
        co_return co_await detail::invoke(function, std::move(arguments)...);
    } else if constexpr (takes_rvalues<Function, Arguments...>) {
        co_return co_await std::move(function)(std::move(arguments)...);
    } else {
        co_return co_await function(arguments...);
    }
}

template <class Member, class Class, class Target, class... Arguments>
call_task<Member Class::*, Target, Arguments...> call_member(Member Class::* member,
                                                             Target target,
                                                             Arguments... arguments) {
    if constexpr (takes_rvalues<Member Class::*, Target, Arguments...>) {
        co_return co_await (object_of<Class>(std::move(target)).*member)(std::move(arguments)...);
    } else {
        co_return co_await (object_of<Class>(target).*member)(arguments...);
    }
}

}  // namespace detail

/// Makes a task of a callable that gives something to await: `call([&] { return peer.accept(); })`.
///
/// The callable and its arguments are moved or copied into the task, so a lambda with captures is
/// safe: it lives as long as what it started. They are given to the call as rvalues, or as lvalues
/// where the callable does not take rvalues. A member function is called with an object, or a
/// pointer to one, as its first argument: `call(&session::run, &session)`.
///
/// Thread safety: as a task.
/// Cancellation: as the awaitable's.
/// Lifetime: keeps the callable and the arguments, and what they are converted to, until the task
///     ends.
/// Resumption: as the awaitable's.
/// Complexity: one frame.
/// Errors: what the callable throws, and the awaitable's.
/// Example: examples/graceful_shutdown.cpp
template <class Function, class... Arguments>
    requires detail::gives_awaitable<Function, Arguments...>
[[nodiscard]] detail::call_task<Function, Arguments...> call(Function function,
                                                             Arguments... arguments) {
    if constexpr (std::is_member_function_pointer_v<Function>) {
        return detail::call_member(function, std::move(arguments)...);
    } else {
        return detail::call_object(std::move(function), std::move(arguments)...);
    }
}

namespace detail {

/// Keeps what it awaits.
template <class Awaitable>
task<awaited_t<Awaitable>> await_kept(Awaitable work) {
    co_return co_await std::move(work);
}

/// Refers to what it awaits, which its maker's full expression, or block, keeps.
template <class Awaitable>
task<awaited_t<Awaitable>> await_in_place(Awaitable&& work) {
    co_return co_await static_cast<Awaitable&&>(work);
}

/// The one way from what users give to the task that a function of the library works on: a task as
/// it is; an awaitable, moved where it can be, referred to where it is an lvalue or an operation
/// that cannot be moved; a callable and its arguments, moved or copied.
template <class Work, class... Arguments>
[[nodiscard]] auto as_task(Work&& work, Arguments&&... arguments) {
    using kept = std::remove_cvref_t<Work>;
    if constexpr (is_task<kept> && sizeof...(Arguments) == 0) {
        static_assert(!std::is_lvalue_reference_v<Work>,
                      "a task can be awaited once: give it away by std::move(task)");
        return task<typename kept::value_type>(static_cast<kept&&>(work));
    } else if constexpr (awaitable<Work> && sizeof...(Arguments) == 0) {
        if constexpr (std::is_lvalue_reference_v<Work> || !std::move_constructible<kept>) {
            return await_in_place<Work>(static_cast<Work&&>(work));
        } else {
            return await_kept<kept>(static_cast<Work&&>(work));
        }
    } else if constexpr (gives_awaitable<Work, Arguments...>) {
        return call(static_cast<Work&&>(work), static_cast<Arguments&&>(arguments)...);
    } else {
        static_assert(never<Work, Arguments...>,
                      "a task is wanted here, or something else to await, or a callable that gives "
                      "it when it is called with the arguments");
        return task<>();
    }
}

/// The same for work that outlives the call it is given to.
template <class Work, class... Arguments>
    requires(!std::is_lvalue_reference_v<Work>)
[[nodiscard]] auto as_owned_task(Work&& work, Arguments&&... arguments) {
    static_assert(std::move_constructible<Work> || !awaitable<Work>,
                  "an operation ends with the expression that made it: give a callable instead, as "
                  "in spawn([&] { return stream.read_some(data); })");
    constexpr bool is_work =
        gives_awaitable<Work, Arguments...> || (sizeof...(Arguments) == 0 && awaitable<Work>);
    static_assert(
        is_work,
        "a task is wanted here, or a callable that gives one, or something else to await, "
        "when it is called with the arguments");
    if constexpr (is_work) {
        return as_task(static_cast<Work&&>(work), static_cast<Arguments&&>(arguments)...);
    } else {
        return task<>();
    }
}

/// For work of whose value nobody hears.
[[nodiscard]] inline task<> without_value(task<> work) noexcept {
    return work;
}

template <class T>
[[nodiscard]] task<> without_value(task<T> work) {
    (void)co_await std::move(work);
}

}  // namespace detail

}  // namespace weft
