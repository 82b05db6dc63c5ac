#include <weft/io/net/tcp.hpp>

#include <weft/io/sys/sys.hpp>
#include <weft/runtime/time/sleep.hpp>
#include <weft/runtime/values/error.hpp>

#include <algorithm>
#include <chrono>
#include <initializer_list>
#include <utility>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace weft {

namespace {

using detail::box;
using detail::io_kind;
using detail::tcp_socket;
using detail::transfer_request;

/// The socket of an operation that is about to start.
[[nodiscard]] tcp_socket& opened(box<tcp_socket> const& socket) noexcept {
    WEFT_CHECK(static_cast<bool>(socket),
               "a socket that was never opened, or was moved from, is used");
    return *socket;
}

[[nodiscard]] transfer_request request(io_kind const& kind,
                                       tcp_socket& socket,
                                       void const* data = nullptr,
                                       std::size_t length = 0) noexcept {
    auto* const bytes = const_cast<void*>(data);  // a send only reads
    return {kind, socket.state, socket.address, bytes, length};
}

/// Waits for one operation and yields its outcome.
template <class Op>
class plain_step {
public:
    template <class... Arguments>
    explicit plain_step(Arguments&&... arguments) noexcept
        : op(std::forward<Arguments>(arguments)...) {}

    [[nodiscard]] bool await_ready() const noexcept { return false; }

    template <std::derived_from<detail::promise_base> Promise>
    [[nodiscard]] bool await_suspend(std::coroutine_handle<Promise> waiter) noexcept {
        return op.start(waiter.promise());
    }

    result<std::size_t> await_resume() noexcept {
        detail::io_op::last_use const ends(op);
        return op.outcome();
    }

    Op op;
};

using accept_step = plain_step<detail::accept_op>;
using close_step = plain_step<detail::close_op>;

[[nodiscard]] bool is_any_of(std::error_code error, std::initializer_list<int> numbers) noexcept {
    return error.category() == std::system_category() &&
           std::find(numbers.begin(), numbers.end(), error.value()) != numbers.end();
}

/// The connection is gone; the next one may be well.
[[nodiscard]] bool lost_before_accepted(std::error_code error) noexcept {
    return is_any_of(error,
                     {ECONNABORTED,  // the peer has given up meanwhile
                      // Errors of the network that were pending on the new socket; accept(2) says
                      // to treat them like EAGAIN.
                      EPROTO,
                      ENETDOWN,
                      ENETUNREACH,
                      EHOSTDOWN,
                      EHOSTUNREACH,
                      ENOPROTOOPT,
                      ENONET});
}

/// The connection stays in the kernel's queue.
[[nodiscard]] bool out_of_resources(std::error_code error) noexcept {
    return is_any_of(error,
                     {EMFILE,   // until the process closes a descriptor
                      ENFILE,   // until any process does
                      ENOBUFS,  // until the kernel has memory
                      ENOMEM});
}

[[nodiscard]] task<> close_socket(tcp_socket& socket) {
    (void)detail::require_worker("close");
    bool const is_closer = co_await detail::drain_operation(socket.state);
    if (!is_closer) {
        co_return;
    }
    close_step step(socket.state.fd());
    step.op.resume_when_stopped();
    auto const closed = co_await step;
    if (closed) {
        socket.state.note_closed();
    } else {
        socket.state.finish_close();  // the stop was faster
    }
}

[[nodiscard]] result<bool> flag(int fd, int level, int name) noexcept {
    auto const value = detail::option(fd, level, name);
    if (!value) {
        return failure(value.error());
    }
    return *value != 0;
}

[[nodiscard]] result<box<tcp_socket>> bind_and_listen(address const& local,
                                                      listen_options const& options) {
    auto opened = detail::open_socket(local);
    if (!opened) {
        return failure(opened.error());
    }
    int const fd = opened->value();
    auto const set = [fd](int level, int name, bool on) noexcept {
        return detail::set_option(fd, level, name, on ? 1 : 0);
    };
    auto done = set(SOL_SOCKET, SO_REUSEADDR, options.reuse_address)
                    .and_then([&] { return set(SOL_SOCKET, SO_REUSEPORT, options.reuse_port); })
                    .and_then([&] { return detail::apply(fd, options.accepted); });
    if (done && local.is_v6()) {
        done = set(IPPROTO_IPV6, IPV6_V6ONLY, options.v6_only);
    }
    if (!done) {
        return failure(done.error());
    }
    int listening = detail::sys::bind(fd, local.data(), local.size());
    if (listening == 0) {
        listening = detail::sys::listen(fd, options.backlog);
    }
    if (listening < 0) {
        return failure(detail::system_error_code(-listening));
    }
    auto const bound = detail::local_address(fd);
    if (!bound) {
        return failure(bound.error());
    }
    return box<tcp_socket>::make(std::move(*opened), *bound);
}

}  // namespace

// --- tcp_stream -------------------------------------------------------------------------

tcp_stream::tcp_stream(box<tcp_socket> socket) noexcept : socket_(std::move(socket)) {}

basic_connect<false> tcp_stream::connect(address const& peer, stream_options const& options) {
    return basic_connect<false>(peer, options);
}

result<tcp_stream> tcp_stream::adopt(unique_fd connected) {
    auto const type = detail::option(connected.value(), SOL_SOCKET, SO_TYPE);
    if (!type) {
        return failure(type.error());
    }
    if (*type != SOCK_STREAM) {
        return failure(std::errc::wrong_protocol_type);
    }
    ::sockaddr_storage storage{};
    ::socklen_t length = sizeof storage;
    auto* const generic = reinterpret_cast<::sockaddr*>(&storage);
    if (int const asked = detail::sys::peer_name(connected.value(), generic, &length); asked < 0) {
        return failure(detail::system_error_code(-asked));
    }
    auto const peer = address::from_sockaddr(generic, length);
    if (!peer) {
        return failure(peer.error());
    }
    return tcp_stream(box<tcp_socket>::make(std::move(connected), *peer));
}

readiness_operation tcp_stream::readable() noexcept {
    tcp_socket& socket = opened(socket_);
    return readiness_operation(socket.state, socket.address);
}

receive_operation tcp_stream::read_some(mutable_buffer into) noexcept {
    return receive_operation(
        request(detail::receive_kind, opened(socket_), into.data(), into.size()));
}

vectored_receive_operation tcp_stream::read_some(mutable_buffers into) {
    return vectored_receive_operation(request(detail::receive_vectors_kind, opened(socket_)),
                                      detail::vector_list(into));
}

transfer_operation tcp_stream::read_exact(mutable_buffer into) noexcept {
    return transfer_operation(
        request(detail::receive_exact_kind, opened(socket_), into.data(), into.size()));
}

transfer_operation tcp_stream::write_all(const_buffer from) noexcept {
    return transfer_operation(
        request(detail::send_kind, opened(socket_), from.data(), from.size()));
}

vectored_transfer_operation tcp_stream::write_all(const_buffers from) {
    return vectored_transfer_operation(request(detail::send_vectors_kind, opened(socket_)),
                                       detail::vector_list(from));
}

result<void> tcp_stream::shutdown_write() noexcept {
    detail::descriptor_state& state = opened(socket_).state;
    detail::descriptor_share const share(state);
    if (!share) {
        return failure(make_error_code(errc::closed));
    }
    return detail::result_of(detail::sys::shutdown(state.fd(), SHUT_WR));
}

task<> tcp_stream::close() {
    return close_socket(opened(socket_));
}

bool tcp_stream::is_open() const noexcept {
    return socket_ && !socket_->state.is_closing();
}

address const& tcp_stream::peer_address() const noexcept {
    return opened(socket_).address;
}

result<address> tcp_stream::local_address() const noexcept {
    return detail::local_address(native_handle());
}

result<void> tcp_stream::set_no_delay(bool on) noexcept {
    return detail::set_option(native_handle(), IPPROTO_TCP, TCP_NODELAY, on ? 1 : 0);
}

result<void> tcp_stream::set_keepalive(std::optional<keepalive_options> const& options) noexcept {
    return detail::set_keepalive(native_handle(), options);
}

result<void> tcp_stream::set_send_buffer_size(int bytes) noexcept {
    return detail::set_option(native_handle(), SOL_SOCKET, SO_SNDBUF, bytes);
}

result<void> tcp_stream::set_receive_buffer_size(int bytes) noexcept {
    return detail::set_option(native_handle(), SOL_SOCKET, SO_RCVBUF, bytes);
}

result<void> tcp_stream::set_linger(std::optional<time_span> limit) noexcept {
    ::linger const value{limit ? 1 : 0, limit ? detail::seconds_of(*limit) : 0};
    return detail::result_of(
        detail::sys::set_option(native_handle(), SOL_SOCKET, SO_LINGER, &value, sizeof value));
}

result<bool> tcp_stream::no_delay() const noexcept {
    return flag(native_handle(), IPPROTO_TCP, TCP_NODELAY);
}

result<bool> tcp_stream::keepalive() const noexcept {
    return flag(native_handle(), SOL_SOCKET, SO_KEEPALIVE);
}

result<int> tcp_stream::send_buffer_size() const noexcept {
    return detail::option(native_handle(), SOL_SOCKET, SO_SNDBUF);
}

result<int> tcp_stream::receive_buffer_size() const noexcept {
    return detail::option(native_handle(), SOL_SOCKET, SO_RCVBUF);
}

int tcp_stream::native_handle() const noexcept {
    return opened(socket_).state.fd();
}

// --- connecting -------------------------------------------------------------------------

namespace detail {

namespace {

/// A socket that is ready to connect; one without a descriptor when that fails.
[[nodiscard]] box<tcp_socket> prepare(address const& peer,
                                      stream_options const& options,
                                      std::error_code& failed) {
    auto opened = open_socket(peer);
    if (!opened) {
        failed = opened.error();
        return box<tcp_socket>::make(unique_fd(), peer);
    }
    failed = apply(opened->value(), options).error();
    return box<tcp_socket>::make(std::move(*opened), peer);
}

}  // namespace

connect_step::connect_step(address const& peer, stream_options const& options)
    : socket(prepare(peer, options, failed))
    , op(socket->state, socket->address) {}

connect_step::connect_step(box<tcp_socket> prepared, std::error_code known) noexcept
    : failed(known)
    , socket(std::move(prepared))
    , op(socket->state, socket->address) {}

result<box<tcp_socket>> connect_step::take() noexcept {
    if (failed) {
        return failure(failed);
    }
    if (auto const connected = op.outcome(); !connected) {
        return failure(connected.error());
    }
    op.leave();  // the socket gets an owner that may close it
    return std::move(socket);
}

box<tcp_socket> connect_step::take_or_throw() {
    auto connected = take();
    if (!connected) {
        throw_io_error(connected.error(), detail::connect_kind.name, socket->address);
    }
    return std::move(*connected);
}

}  // namespace detail

// --- tcp_listener -----------------------------------------------------------------------

tcp_listener::tcp_listener(box<tcp_socket> socket) noexcept : socket_(std::move(socket)) {}

tcp_listener::tcp_listener(address const& local, listen_options const& options) {
    auto made = bind_and_listen(local, options);
    if (!made) {
        detail::throw_io_error(made.error(), "listen on", local);
    }
    socket_ = std::move(*made);
}

result<tcp_listener> tcp_listener::listen(address const& local, listen_options const& options) {
    auto made = bind_and_listen(local, options);
    if (!made) {
        return failure(made.error());
    }
    return tcp_listener(std::move(*made));
}

accept_operation tcp_listener::accept() {
    return accept_operation(opened(socket_));
}

readiness_operation tcp_listener::readable() noexcept {
    tcp_socket& socket = opened(socket_);
    return readiness_operation(socket.state, socket.address);
}

result<tcp_stream> tcp_listener::take_over(result<unique_fd> accepted,
                                           result<address> const& peer) {
    if (!accepted) {
        return failure(accepted.error());
    }
    if (!peer) {
        return failure(peer.error());
    }
    return tcp_stream(box<tcp_socket>::make(std::move(*accepted), *peer));
}

task<result<tcp_stream>> tcp_listener::accept_next(tcp_socket& socket) {
    detail::accept_retries retries;
    detail::descriptor_share const share(socket.state);  // for the pauses too
    for (;;) {
        accept_step step(socket.state);
        auto const ended = co_await step;
        if (ended) {
            co_return take_over(step.op.take_descriptor(), step.op.peer());
        }
        auto const pause_ms = retries.pause_ms_after(ended.error());
        if (!pause_ms) {
            co_return failure(ended.error());
        }
        if (*pause_ms != 0) {
            co_await sleep_for(std::chrono::milliseconds(*pause_ms));
        }
    }
}

task<> tcp_listener::close() {
    return close_socket(opened(socket_));
}

bool tcp_listener::is_open() const noexcept {
    return socket_ && !socket_->state.is_closing();
}

address const& tcp_listener::local_address() const noexcept {
    return opened(socket_).address;
}

int tcp_listener::native_handle() const noexcept {
    return opened(socket_).state.fd();
}

namespace detail {

/// A pause after each failure for want of resources. Lost connections are many when somebody makes
/// them so, and each is a step forward: a pause after every 64 of them keeps the worker free where
/// they are not.
std::optional<unsigned> accept_retries::pause_ms_after(std::error_code error) noexcept {
    constexpr unsigned lost_in_a_row_max = 64;
    constexpr unsigned longest_pause_ms = 50;
    if (lost_before_accepted(error)) {
        if (++lost_count_ % lost_in_a_row_max != 0) {
            return 0;
        }
    } else if (!out_of_resources(error)) {
        return std::nullopt;
    }
    return std::exchange(pause_ms_, std::min(2 * pause_ms_, longest_pause_ms));
}

task<result<void>> accept_attempts::until_ready() const {
    descriptor_share const share(socket_->state);  // for the pause too
    if (pause_ms_ != 0) {
        co_await sleep_for(std::chrono::milliseconds(pause_ms_));
    }
    basic_transfer<readiness, true> arrival(socket_->state, socket_->address);
    co_return co_await arrival;
}

bool accept_attempts::try_complete(std::error_code waited) {
    pause_ms_ = 0;  // of an earlier try
    accept_step step(socket_->state);
    if (!step.op.try_complete(waited)) {
        return false;
    }
    auto descriptor = step.op.take_descriptor();
    if (!descriptor) {
        if (auto const pause_ms = retries_.pause_ms_after(descriptor.error())) {
            pause_ms_ = *pause_ms;
            return false;
        }
    }
    accepted.emplace(tcp_listener::take_over(std::move(descriptor), step.op.peer()));
    return true;
}

tcp_stream stream_or_throw(result<tcp_stream>&& accepted, address const& local) {
    if (!accepted) {
        throw_io_error(accepted.error(), accept_kind.name, local);
    }
    return std::move(*accepted);
}

}  // namespace detail

}  // namespace weft
