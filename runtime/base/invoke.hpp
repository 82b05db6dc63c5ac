#pragma once

/// std::invoke without the weight of <functional>.

#include <type_traits>

namespace weft::detail {

/// The object that a pointer to a member of `Class` is applied to: `target` itself, or what it
/// points or refers to.
template <class Class, class Target>
[[nodiscard]] constexpr decltype(auto) object_of(Target&& target) noexcept {
    if constexpr (std::is_base_of_v<Class, std::remove_cvref_t<Target>>) {
        return static_cast<Target&&>(target);
    } else if constexpr (requires { *static_cast<Target&&>(target); }) {
        return *static_cast<Target&&>(target);
    } else {
        return static_cast<Target&&>(target).get();
    }
}

template <class Class, class Member, class Target, class... Arguments>
constexpr decltype(auto) invoke_member(Member Class::* member,
                                       Target&& target,
                                       Arguments&&... arguments) {
    if constexpr (std::is_function_v<Member>) {
        return (object_of<Class>(static_cast<Target&&>(target)).*
                member)(static_cast<Arguments&&>(arguments)...);
    } else {
        return object_of<Class>(static_cast<Target&&>(target)).*member;
    }
}

/// Calls whatever std::is_invocable says can be called, pointers to members included.
///
/// What it converts an argument to is gone when it returns. So a call that gives something to await
/// is not made by this but written out: see callable_of.
template <class Function, class... Arguments>
    requires std::is_invocable_v<Function, Arguments...>
constexpr std::invoke_result_t<Function, Arguments...> invoke(
    Function&& function,
    Arguments&&... arguments) noexcept(std::is_nothrow_invocable_v<Function, Arguments...>) {
    if constexpr (std::is_member_pointer_v<std::remove_cvref_t<Function>>) {
        return invoke_member(function, static_cast<Arguments&&>(arguments)...);
    } else {
        return static_cast<Function&&>(function)(static_cast<Arguments&&>(arguments)...);
    }
}

/// `function` as something to write the argument behind, `co_await callable_of(function)(item)`, so
/// that what the item is converted to lives until the await ends. Refers to the function.
template <class Function>
[[nodiscard]] constexpr decltype(auto) callable_of(Function& function) noexcept {
    if constexpr (std::is_member_pointer_v<Function>) {
        return [function](auto&& target) -> decltype(auto) {
            return detail::invoke(function, static_cast<decltype(target)&&>(target));
        };
    } else {
        return (function);
    }
}

}  // namespace weft::detail
