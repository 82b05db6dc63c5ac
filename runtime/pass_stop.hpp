#pragma once

#include <weft/runtime/promise.hpp>

#include <coroutine>

namespace weft::detail {

/// Passes a stop on to a coroutine that waits for whoever was stopped: it is unwound, soon, on the
/// current worker. Gives what runs next.
[[nodiscard]] std::coroutine_handle<> pass_stop(promise_base& waiter) noexcept;

}  // namespace weft::detail
