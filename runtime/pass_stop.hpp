#pragma once

#include <weft/runtime/promise.hpp>

#include <coroutine>

namespace weft::detail {

/// What a stop of a coroutine does to it where it waits for another.
enum class when_stopped : bool { unwind, resume };

/// Passes a stop on to a coroutine that waits for whoever was stopped: it is unwound, soon, on the
/// current worker. Gives what runs next.
[[nodiscard]] std::coroutine_handle<> pass_stop(promise_base& waiter) noexcept;

}  // namespace weft::detail
