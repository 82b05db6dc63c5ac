#pragma once

/// Assertions. A violated precondition or invariant is a bug: it aborts with file, line and
/// message, and is never turned into an error code.
///
/// WEFT_CHECK is always on. WEFT_ASSERT is on in debug and test builds (WEFT_ASSERTS=1) and free
/// elsewhere.

#include <weft/runtime/base/config.hpp>

#if !defined(WEFT_ASSERTS)
#if defined(NDEBUG)
#define WEFT_ASSERTS 0
#else
#define WEFT_ASSERTS 1
#endif
#endif

namespace weft::detail {

/// Prints "weft: file:line: message (expression)" to stderr and aborts.
[[noreturn]] WEFT_COLD void panic(char const* file,
                                  int line,
                                  char const* expression,
                                  char const* message) noexcept;

/// Prints "weft: system_call fails: ERROR (description)" to stderr and aborts.
[[noreturn]] WEFT_COLD void panic_of_error(char const* system_call, int error) noexcept;

}  // namespace weft::detail

#define WEFT_CHECK(condition, message) \
    (static_cast<bool>(condition)      \
         ? static_cast<void>(0)        \
         : ::weft::detail::panic(__FILE__, __LINE__, #condition, message))

#if WEFT_ASSERTS
#define WEFT_ASSERT(condition, message) WEFT_CHECK(condition, message)
#else
#define WEFT_ASSERT(condition, message) static_cast<void>(sizeof(static_cast<bool>(condition)))
#endif

/// The cure, in the message of an object that dies while tasks wait in it.
#define WEFT_END_TASKS_FIRST                                                               \
    ": end the tasks first, by shutdown() or join() of their runtime, or by a scope that " \
    "ends before; or declare the runtime after it"

/// Marks a place that no execution reaches.
#define WEFT_UNREACHABLE(message) ::weft::detail::panic(__FILE__, __LINE__, "unreachable", message)
