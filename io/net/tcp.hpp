#pragma once

#include <weft/io/base/address.hpp>
#include <weft/io/base/buffer.hpp>
#include <weft/io/net/detail/tcp_socket.hpp>
#include <weft/io/net/detail/transfer.hpp>
#include <weft/io/net/socket_options.hpp>
#include <weft/runtime/task/as_result.hpp>
#include <weft/runtime/task/task.hpp>

#include <cstddef>
#include <optional>
#include <system_error>
#include <utility>

namespace weft {

namespace detail {

/// What closing waits in first: that no operation is in flight, or that somebody else has closed.
class drain_operation {
public:
    explicit drain_operation(descriptor_state& socket) noexcept : socket_(&socket) {}

    [[nodiscard]] bool await_ready() const noexcept { return false; }

    template <std::derived_from<promise_base> Promise>
    [[nodiscard]] bool await_suspend(std::coroutine_handle<Promise> caller) noexcept {
        wait_ = close_wait(caller.promise());
        return socket_->begin_close(wait_);
    }

    /// True when the caller has to close; otherwise the socket may be gone.
    [[nodiscard]] bool await_resume() const noexcept { return wait_.is_closer(); }

private:
    descriptor_state* socket_;
    close_wait wait_;
};

}  // namespace detail

template <bool ResultForm>
class basic_connect;

namespace detail {

class accept_attempts;

}  // namespace detail

/// A TCP connection.
///
/// Thread safety: one task reads and one task writes at a time, on any workers, and any number of
///     tasks close; nothing else is shared.
/// Cancellation: a stop ends a waiting operation and unwinds its task. If the transfer was complete
///     before the stop reached it, its result is delivered. read_some then has taken nothing; a
///     stopped read_exact or write_all may have transferred a part.
/// Lifetime: must outlive its operations; it may be moved while they wait. The destructor closes
///     the socket and aborts if an operation is in flight; `close` waits for them.
/// Resumption: on the pool, through the ready queue of the worker that started the operation; at
///     once when the answer is there already.
/// Complexity: one allocation per connection, none per operation.
/// Errors: std::system_error that names the operation and the peer; with `as_result` the
///     std::error_code, without a throw. A peer that closed gives 0 bytes (reading) or
///     std::errc::broken_pipe (writing). A reset gives the bytes that arrived before it and then
///     std::errc::connection_reset, to the reader and to the writer, each time: it is never taken
///     for the end of the stream. SIGPIPE is never raised.
/// Buffer: belongs to the kernel from the start of an operation to its end. Whoever awaits is
///     resumed, or unwound, only after that.
/// Overlap: one read and one write may be in flight together.
/// Example: examples/echo_client.cpp
class tcp_stream {
public:
    /// Not connected; operations abort.
    tcp_stream() noexcept = default;

    /// Connects to `peer`. A stop closes the socket.
    [[nodiscard]] static basic_connect<false> connect(
        address const& peer, stream_options const& options = stream_options());

    /// Takes over a connected stream socket.
    [[nodiscard]] static result<tcp_stream> adopt(unique_fd connected);

    /// Reads what is there, at least one byte; 0 at the end of the stream, and for an empty buffer.
    [[nodiscard]] receive_operation read_some(mutable_buffer into) noexcept;
    [[nodiscard]] vectored_receive_operation read_some(mutable_buffers into);

    /// Waits until read_some would not: there are bytes, or the end of the stream, or an error for
    /// it to tell. Takes nothing, so it can lose a race without losing bytes.
    [[nodiscard]] readiness_operation readable() noexcept;

    /// Fills the buffer. The end of the stream before that is weft::errc::unexpected_eof.
    [[nodiscard]] transfer_operation read_exact(mutable_buffer into) noexcept;

    /// Writes everything.
    [[nodiscard]] transfer_operation write_all(const_buffer from) noexcept;
    [[nodiscard]] vectored_transfer_operation write_all(const_buffers from);

    /// Tells the peer that nothing more will be written. Reading goes on. Part of writing: another
    /// task may close meanwhile.
    result<void> shutdown_write() noexcept;

    /// Ends what is in flight with weft::errc::closed, waits for it, and closes the socket. Later
    /// operations end with weft::errc::closed. Any number of tasks may close, at the same time or
    /// later: one does, and none returns before it is done. A stop does not interrupt it.
    [[nodiscard]] task<> close();

    [[nodiscard]] bool is_open() const noexcept;

    [[nodiscard]] address const& peer_address() const noexcept;
    [[nodiscard]] result<address> local_address() const noexcept;

    // --- options: not while another task closes ------------------------------------------
    result<void> set_no_delay(bool on) noexcept;
    result<void> set_keepalive(std::optional<keepalive_options> const& options) noexcept;
    result<void> set_send_buffer_size(int bytes) noexcept;
    result<void> set_receive_buffer_size(int bytes) noexcept;

    /// How long close(2) lets unsent data linger, in whole seconds, rounded up; zero resets the
    /// connection. Nothing: the default. Closing blocks the worker, with everything on it, for as
    /// long as more than zero lets it. A `close` that has to end operations in flight ends the
    /// stream before it resets.
    result<void> set_linger(std::optional<time_span> limit) noexcept;

    [[nodiscard]] result<bool> no_delay() const noexcept;
    [[nodiscard]] result<bool> keepalive() const noexcept;

    /// As the kernel accounts for them: about twice what was asked for.
    [[nodiscard]] result<int> send_buffer_size() const noexcept;
    [[nodiscard]] result<int> receive_buffer_size() const noexcept;

    /// The descriptor, for options that have no member here. It stays ours.
    [[nodiscard]] int native_handle() const noexcept;

private:
    friend class tcp_listener;
    template <bool ResultForm>
    friend class basic_connect;

    explicit tcp_stream(detail::box<detail::tcp_socket> socket) noexcept;

    detail::box<detail::tcp_socket> socket_;
};

namespace detail {

/// The part of connecting that does not depend on its form.
class connect_step {
public:
    connect_step(address const& peer, stream_options const& options);
    connect_step(box<tcp_socket> socket, std::error_code failed) noexcept;

    [[nodiscard]] result<box<tcp_socket>> take() noexcept;
    [[nodiscard]] box<tcp_socket> take_or_throw();

    // --- in this order: the operation ends before its socket does -------------------------
    std::error_code failed;  // the socket cannot be connected
    box<tcp_socket> socket;
    connect_op op;
};

}  // namespace detail

/// What connect waits in. Yields the stream, or with `as_result` a result of it.
template <bool ResultForm>
class [[nodiscard]] basic_connect {
public:
    basic_connect(address const& peer, stream_options const& options) : step_(peer, options) {}

    basic_connect(detail::box<detail::tcp_socket> socket, std::error_code failed) noexcept
        : step_(std::move(socket), failed) {
        step_.op.tell_when_stopped();
    }

    [[nodiscard]] bool await_ready() const noexcept {
        return step_.failed && detail::spend_budget();
    }

    template <std::derived_from<detail::promise_base> Promise>
    [[nodiscard]] bool await_suspend(std::coroutine_handle<Promise> waiter) noexcept {
        if (step_.failed && !waiter.promise().stop().stop_requested()) [[unlikely]] {
            return detail::give_way(waiter.promise());
        }
        return step_.op.start(waiter.promise());
    }

    auto await_resume() {
        if constexpr (ResultForm) {
            auto connected = step_.take();
            return connected ? result<tcp_stream>(tcp_stream(std::move(*connected)))
                             : result<tcp_stream>(failure(connected.error()));
        } else {
            return tcp_stream(step_.take_or_throw());
        }
    }

    [[nodiscard]] basic_connect<true> as_result() && noexcept
        requires(!ResultForm)
    {
        return basic_connect<true>(std::move(step_.socket), step_.failed);
    }

private:
    detail::connect_step step_;
};

template <bool ResultForm>
class basic_accept;
using accept_operation = basic_accept<false>;

/// Takes TCP connections.
///
/// Thread safety: any number of tasks may accept at the same time, on any workers; the rest as for
///     tcp_stream.
/// Cancellation: a stop ends a waiting accept and unwinds its task. A connection that was accepted
///     before the stop arrived is delivered, or closed if nobody takes it.
/// Lifetime: must outlive its operations; it may be moved while they wait.
/// Resumption: as for tcp_stream.
/// Complexity: one allocation and one pooled frame per connection.
/// Errors: std::system_error that names the operation and the address. A connection that broke
///     before it was accepted is passed over. Where the process or the system is out of
///     descriptors or memory, accept tries again after a pause of 5 to 50 ms: connections wait in
///     the kernel's queue meanwhile. Every other error is the caller's, EPERM of a security module
///     among them.
/// Example: examples/echo_server.cpp
class tcp_listener {
public:
    /// Not listening; operations abort.
    tcp_listener() noexcept = default;

    /// Listens on `local`; port 0 lets the kernel choose. Throws std::system_error.
    explicit tcp_listener(address const& local, listen_options const& options = listen_options());

    /// The same, with the error as a value.
    [[nodiscard]] static result<tcp_listener> listen(
        address const& local, listen_options const& options = listen_options());

    /// Waits for the next connection.
    [[nodiscard]] accept_operation accept();

    /// Waits until there is a connection to accept, and leaves it there.
    [[nodiscard]] readiness_operation readable() noexcept;

    /// As for tcp_stream: accepts in flight end with weft::errc::closed.
    [[nodiscard]] task<> close();

    [[nodiscard]] bool is_open() const noexcept;

    /// With the port that the kernel chose.
    [[nodiscard]] address const& local_address() const noexcept;

    [[nodiscard]] int native_handle() const noexcept;

private:
    template <bool ResultForm>
    friend class basic_accept;
    friend class detail::accept_attempts;

    explicit tcp_listener(detail::box<detail::tcp_socket> socket) noexcept;

    [[nodiscard]] static result<tcp_stream> take_over(result<unique_fd> accepted,
                                                      result<address> const& peer);
    [[nodiscard]] static task<result<tcp_stream>> accept_next(detail::tcp_socket& socket);

    detail::box<detail::tcp_socket> socket_;
};

namespace detail {

/// Judges the errors of accept(2): which of them another try may not meet, and when to make it.
class accept_retries {
public:
    /// Milliseconds to wait before the next try, 0 for none; nothing when the error is the
    /// caller's.
    [[nodiscard]] std::optional<unsigned> pause_ms_after(std::error_code error) noexcept;

private:
    unsigned lost_count_ = 0;
    unsigned pause_ms_ = 5;
};

/// Accepting as a branch of a select: waits without effect, and then tries.
class accept_attempts {
public:
    explicit accept_attempts(tcp_socket& listener) noexcept : socket_(&listener) {}

    /// The wait for a connection; after failures, a pause first.
    [[nodiscard]] task<result<void>> until_ready() const;

    /// True when accept() would not wait; `accepted` is what it would give then.
    [[nodiscard]] bool try_complete(std::error_code waited);

    std::optional<result<tcp_stream>> accepted;

private:
    tcp_socket* socket_;
    accept_retries retries_;
    unsigned pause_ms_ = 0;
};

/// The result of an accept, or the exception that tells of its error.
[[nodiscard]] tcp_stream stream_or_throw(result<tcp_stream>&& accepted, address const& local);

}  // namespace detail

/// What accept waits in. Yields the stream, or with `as_result` a result of it.
template <bool ResultForm>
class [[nodiscard]] basic_accept {
public:
    explicit basic_accept(detail::tcp_socket& socket) noexcept : socket_(&socket) {}

    class await_operation {
    public:
        explicit await_operation(detail::tcp_socket& socket)
            : local_(socket.address)
            , inner_(begin(socket)) {}

        [[nodiscard]] bool await_ready() const noexcept { return false; }

        template <std::derived_from<detail::promise_base> Promise>
        [[nodiscard]] auto await_suspend(std::coroutine_handle<Promise> waiter) noexcept {
            return inner_.await_suspend(waiter);
        }

        auto await_resume() {
            if constexpr (ResultForm) {
                auto ended = inner_.await_resume();
                return ended ? std::move(*ended) : result<tcp_stream>(failure(ended.error()));
            } else {
                return detail::stream_or_throw(inner_.await_resume(), local_);
            }
        }

    private:
        static auto begin(detail::tcp_socket& socket) {
            if constexpr (ResultForm) {
                return task_result_operation<result<tcp_stream>>(tcp_listener::accept_next(socket));
            } else {
                return tcp_listener::accept_next(socket).operator co_await();
            }
        }

        address local_;  // the listener may be gone when its accept has ended
        decltype(begin(std::declval<detail::tcp_socket&>())) inner_;
    };

    [[nodiscard]] await_operation operator co_await() && { return await_operation(*socket_); }

    [[nodiscard]] basic_accept<true> as_result() && noexcept
        requires(!ResultForm)
    {
        return basic_accept<true>(*socket_);
    }

    // --- as a branch of a select -----------------------------------------------------------
    [[nodiscard]] task<result<void>> until_ready() { return attempts().until_ready(); }

    [[nodiscard]] bool try_complete(std::error_code code) { return attempts().try_complete(code); }

    [[nodiscard]] auto take() {
        if constexpr (ResultForm) {
            return std::move(*attempts_->accepted);
        } else {
            return detail::stream_or_throw(std::move(*attempts_->accepted), socket_->address);
        }
    }

private:
    auto& attempts() noexcept { return attempts_ ? *attempts_ : attempts_.emplace(*socket_); }

    detail::tcp_socket* socket_;
    std::optional<detail::accept_attempts> attempts_;
};

}  // namespace weft
