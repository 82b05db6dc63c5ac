#pragma once

/// Arguments that may come from data, such as a limit, a capacity or a number of attempts. One that
/// makes no sense is an error of the call, not a bug that aborts the process (assert.hpp).

#include <weft/runtime/base/config.hpp>

namespace weft::detail {

/// Throws std::invalid_argument.
[[noreturn]] WEFT_COLD void throw_invalid_argument(char const* message);

inline void check_argument(bool makes_sense, char const* message) {
    if (!makes_sense) [[unlikely]] {
        throw_invalid_argument(message);
    }
}

}  // namespace weft::detail
