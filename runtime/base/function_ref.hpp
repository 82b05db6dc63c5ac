#pragma once

/// A callable that is borrowed for the duration of a call.

#include <concepts>
#include <type_traits>
#include <utility>

namespace weft::detail {

template <class Signature>
class function_ref;

template <class Result, class... Arguments>
class function_ref<Result(Arguments...)> {
public:
    template <class F>
        requires(!std::same_as<std::remove_cvref_t<F>, function_ref> &&
                 std::is_invocable_r_v<Result, F&, Arguments...>)
    function_ref(F&& callable) noexcept {
        using callable_type = std::remove_reference_t<F>;
        if constexpr (std::is_function_v<callable_type>) {
            function_ = reinterpret_cast<void (*)()>(&callable);
            invoke_ = [](function_ref const& self, Arguments... arguments) -> Result {
                auto* const target = reinterpret_cast<callable_type*>(self.function_);
                return static_cast<Result>(target(std::forward<Arguments>(arguments)...));
            };
        } else {
            object_ = const_cast<void*>(static_cast<void const*>(&callable));
            invoke_ = [](function_ref const& self, Arguments... arguments) -> Result {
                auto& target = *static_cast<callable_type*>(self.object_);
                return static_cast<Result>(target(std::forward<Arguments>(arguments)...));
            };
        }
    }

    Result operator()(Arguments... arguments) const {
        return invoke_(*this, std::forward<Arguments>(arguments)...);
    }

private:
    union {
        void* object_;
        void (*function_)();
    };

    Result (*invoke_)(function_ref const&, Arguments...);
};

}  // namespace weft::detail
