#pragma once

/// What a stream or a listener owns, at an address that its operations can rely on.

#include <weft/io/base/address.hpp>
#include <weft/io/net/socket_options.hpp>
#include <weft/io/op/descriptor_state.hpp>
#include <weft/runtime/base/box.hpp>
#include <weft/runtime/values/result.hpp>

#include <utility>

namespace weft::detail {

struct tcp_socket {
    tcp_socket(unique_fd owned, weft::address const& named) noexcept
        : state(std::move(owned))
        , address(named) {}

    descriptor_state state;
    weft::address address;  // the peer's; a listener's own
};

/// Nothing, or the error that a system call has answered.
[[nodiscard]] result<void> result_of(int answer) noexcept;

/// A new non-blocking socket of the address's family.
[[nodiscard]] result<unique_fd> open_socket(weft::address const& address) noexcept;

/// The address a socket is bound to.
[[nodiscard]] result<weft::address> local_address(int fd) noexcept;

[[nodiscard]] result<void> set_option(int fd, int level, int name, int value) noexcept;
[[nodiscard]] result<int> option(int fd, int level, int name) noexcept;
[[nodiscard]] result<void> set_keepalive(int fd,
                                         std::optional<keepalive_options> const& options) noexcept;
/// As socket options count it: rounded up, and cut to what an int holds.
[[nodiscard]] int seconds_of(time_span length) noexcept;
[[nodiscard]] result<void> apply(int fd, stream_options const& options) noexcept;

}  // namespace weft::detail
