#pragma once

#include <weft/runtime/task.hpp>

#include <concepts>
#include <type_traits>
#include <utility>

namespace weft {

/// Makes a task of a callable that gives something to await: `call([&] { return peer.accept(); })`.
///
/// The callable and its arguments are copied into the task, so a lambda with captures is safe: it
/// lives as long as what it started. This is how an operation of the library goes where a task is
/// expected: `timeout(1s, call([&] { return peer.read_some(data); }))`.
///
/// Thread safety: as a task.
/// Cancellation: as the awaitable's.
/// Lifetime: keeps the callable and the arguments until the task ends.
/// Resumption: as the awaitable's.
/// Complexity: one frame.
/// Errors: what the callable throws, and the awaitable's.
/// Example: examples/graceful_shutdown.cpp
template <class Function, class... Arguments>
    requires std::invocable<Function&, Arguments&...> &&
             awaitable<std::invoke_result_t<Function&, Arguments&...>>
[[nodiscard]] task<await_result_t<std::invoke_result_t<Function&, Arguments&...>>> call(
    Function function, Arguments... arguments) {
    co_return co_await function(arguments...);
}

}  // namespace weft
