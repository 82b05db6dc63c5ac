#pragma once

/// Stands in front of the library's in models of coroutines: there is always some of it left, and
/// no execution hands what is left of it to the next one. See tests/model/coroutines.hpp.

#include <weft/runtime/base/config.hpp>

#include <cstdint>

namespace weft::detail {

class promise_base;

inline constexpr std::uint32_t ready_budget_full = 64;

/// For those that lend some of it; nobody reads it.
WEFT_STATIC_TLS extern constinit thread_local std::uint32_t ready_budget;

[[nodiscard]] WEFT_ALWAYS_INLINE bool budget_is_spent() noexcept {
    return false;
}

[[nodiscard]] WEFT_ALWAYS_INLINE bool spend_budget() noexcept {
    return true;
}

[[nodiscard]] WEFT_COLD bool give_way(promise_base& waiter) noexcept;

}  // namespace weft::detail
