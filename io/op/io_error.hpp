#pragma once

/// How the error of an operation is told: with the operation, and what it was aimed at.

#include <weft/io/base/address.hpp>
#include <weft/runtime/base/config.hpp>

#include <string>
#include <system_error>

namespace weft::detail {

/// What an operation is aimed at. Refers to it.
class io_object {
public:
    io_object(weft::address const& named) noexcept : what_(what::address), address_(&named) {}

    [[nodiscard]] static io_object path(char const* name) noexcept {
        io_object object;
        object.what_ = what::path;
        object.path_ = name;
        return object;
    }

    [[nodiscard]] static io_object descriptor(int fd) noexcept {
        io_object object;
        object.fd_ = fd;
        return object;
    }

    /// "127.0.0.1:80", "/etc/hosts", "descriptor 7".
    [[nodiscard]] std::string to_string() const;

private:
    enum class what : unsigned char { address, path, descriptor };

    io_object() noexcept : what_(what::descriptor), fd_(-1) {}

    what what_;

    union {
        weft::address const* address_;
        char const* path_;
        int fd_;
    };
};

/// An errno as a code.
[[nodiscard]] inline std::error_code system_error_code(int number) noexcept {
    return {number, std::system_category()};
}

/// Throws std::system_error whose message reads "read from 127.0.0.1:80: Connection reset by peer".
[[noreturn]] WEFT_COLD void throw_io_error(std::error_code error,
                                           char const* operation,
                                           io_object const& object);

}  // namespace weft::detail
