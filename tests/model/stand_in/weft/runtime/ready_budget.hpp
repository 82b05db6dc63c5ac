#pragma once

/// Stands in front of the library's in models of coroutines: there is always some of it left, and
/// no execution hands what is left of it to the next one. See tests/model/coroutines.hpp.

#include <weft/runtime/base/config.hpp>

namespace weft::detail {

class promise_base;

[[nodiscard]] WEFT_ALWAYS_INLINE bool budget_is_spent() noexcept {
    return false;
}

[[nodiscard]] WEFT_ALWAYS_INLINE bool spend_budget() noexcept {
    return true;
}

[[nodiscard]] inline bool give_way(promise_base&) noexcept {
    return false;
}

}  // namespace weft::detail
