#pragma once

/// The library's own error conditions, beside those of the operating system.

#include <system_error>

namespace weft {

enum class errc {
    closed = 1,          ///< the object was closed by its owner
    unexpected_eof = 2,  ///< the peer ended the stream before everything was there
    circuit_open = 3,    ///< not tried: it has failed too often of late
    bulkhead_full = 4,   ///< not tried: too many run and wait already
    rate_limited = 5,    ///< not tried: it would come too soon
};

[[nodiscard]] std::error_category const& error_category() noexcept;

[[nodiscard]] inline std::error_code make_error_code(errc code) noexcept {
    return {static_cast<int>(code), error_category()};
}

/// What somebody who cannot be unwound gets when the task it waits for was stopped.
class operation_cancelled : public std::system_error {
public:
    operation_cancelled();
};

}  // namespace weft

template <>
struct std::is_error_code_enum<weft::errc> : std::true_type {};
