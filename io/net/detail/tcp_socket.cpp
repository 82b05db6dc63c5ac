#include <weft/io/net/detail/tcp_socket.hpp>

#include <weft/io/op/io_error.hpp>
#include <weft/io/sys/sys.hpp>

#include <algorithm>
#include <cstdint>
#include <limits>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace weft::detail {

result<void> result_of(int answer) noexcept {
    if (answer < 0) {
        return failure(system_error_code(-answer));
    }
    return {};
}

result<unique_fd> open_socket(weft::address const& address) noexcept {
    int const fd = sys::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return failure(system_error_code(-fd));
    }
    return unique_fd(fd);
}

result<weft::address> local_address(int fd) noexcept {
    ::sockaddr_storage storage{};
    ::socklen_t length = sizeof storage;
    auto* const generic = reinterpret_cast<::sockaddr*>(&storage);
    if (int const asked = sys::local_name(fd, generic, &length); asked < 0) {
        return failure(system_error_code(-asked));
    }
    return weft::address::from_sockaddr(generic, length);
}

result<void> set_option(int fd, int level, int name, int value) noexcept {
    return result_of(sys::set_option(fd, level, name, &value, sizeof value));
}

result<int> option(int fd, int level, int name) noexcept {
    int value = 0;
    ::socklen_t length = sizeof value;
    if (int const asked = sys::option(fd, level, name, &value, &length); asked < 0) {
        return failure(system_error_code(-asked));
    }
    return value;
}

int seconds_of(time_span length) noexcept {
    constexpr std::uint64_t in_second = 1'000'000'000;
    std::uint64_t const seconds = (length.nanoseconds() + in_second - 1) / in_second;
    constexpr std::uint64_t most = std::numeric_limits<int>::max();
    return static_cast<int>(std::min(seconds, most));
}

result<void> set_keepalive(int fd, std::optional<keepalive_options> const& options) noexcept {
    if (!options) {
        return set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 0);
    }
    auto const set = [fd](int name, int value) noexcept {
        return set_option(fd, IPPROTO_TCP, name, value);
    };
    return set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1)
        .and_then([&] { return set(TCP_KEEPIDLE, seconds_of(options->idle)); })
        .and_then([&] { return set(TCP_KEEPINTVL, seconds_of(options->interval)); })
        .and_then([&] { return set(TCP_KEEPCNT, static_cast<int>(options->probe_count)); });
}

result<void> apply(int fd, stream_options const& options) noexcept {
    auto done = set_option(fd, IPPROTO_TCP, TCP_NODELAY, options.no_delay ? 1 : 0);
    if (done && options.keepalive) {
        done = set_keepalive(fd, options.keepalive);
    }
    if (done && options.send_buffer_size != 0) {
        done = set_option(fd, SOL_SOCKET, SO_SNDBUF, options.send_buffer_size);
    }
    if (done && options.receive_buffer_size != 0) {
        done = set_option(fd, SOL_SOCKET, SO_RCVBUF, options.receive_buffer_size);
    }
    return done;
}

}  // namespace weft::detail
