#include <weft/io/net/detail/tcp_socket.hpp>

#include <cerrno>
#include <string>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace weft::detail {

failure last_error() noexcept {
    return failure(std::error_code(errno, std::system_category()));
}

result<unique_fd> open_socket(weft::address const& address) noexcept {
    unique_fd fd(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd) {
        return last_error();
    }
    return fd;
}

result<weft::address> local_address(int fd) noexcept {
    ::sockaddr_storage storage{};
    ::socklen_t length = sizeof storage;
    auto* const generic = reinterpret_cast<::sockaddr*>(&storage);
    if (::getsockname(fd, generic, &length) != 0) {
        return last_error();
    }
    return weft::address::from_sockaddr(generic, length);
}

result<void> set_option(int fd, int level, int name, int value) noexcept {
    if (::setsockopt(fd, level, name, &value, sizeof value) != 0) {
        return last_error();
    }
    return {};
}

result<int> option(int fd, int level, int name) noexcept {
    int value = 0;
    ::socklen_t length = sizeof value;
    if (::getsockopt(fd, level, name, &value, &length) != 0) {
        return last_error();
    }
    return value;
}

result<void> set_keepalive(int fd, std::optional<keepalive_options> const& options) noexcept {
    if (!options) {
        return set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 0);
    }
    auto const set = [fd](int name, unsigned value) noexcept {
        return set_option(fd, IPPROTO_TCP, name, static_cast<int>(value));
    };
    return set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1)
        .and_then([&] { return set(TCP_KEEPIDLE, options->idle_seconds); })
        .and_then([&] { return set(TCP_KEEPINTVL, options->interval_seconds); })
        .and_then([&] { return set(TCP_KEEPCNT, options->probe_count); });
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

void throw_io_error(std::error_code error, char const* operation, weft::address const* address) {
    std::string what(operation);
    if (address != nullptr) {
        what.append(" ").append(address->to_string());
    }
    throw std::system_error(error, what);
}

}  // namespace weft::detail
