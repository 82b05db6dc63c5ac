#pragma once

#include <weft/bench/baseline/options.hpp>
#include <weft/bench/peers/asio/library.hpp>

#include <array>
#include <cstddef>
#include <exception>
#include <utility>

namespace asio_peer {

using tcp = asio::ip::tcp;

// Named all the way down, so that nothing goes through any_io_executor.
using executor = asio::io_context::executor_type;
using socket = asio::basic_stream_socket<tcp, executor>;
using acceptor = asio::basic_socket_acceptor<tcp, executor>;
using task = asio::awaitable<void, executor>;
inline constexpr asio::use_awaitable_t<executor> use_awaitable;

/// Lets a coroutine's exception end the process; a broken connection is dealt with where it shows.
inline void rethrow(std::exception_ptr const& error) {
    if (error) {
        std::rethrow_exception(error);
    }
}

inline task echo(socket peer) {
    std::array<char, baseline::buffer_size_bytes> buffer;
    asio::error_code error;
    while (!error) {
        std::size_t const received_bytes = co_await peer.async_read_some(
            asio::buffer(buffer), asio::redirect_error(use_awaitable, error));
        if (!error) {
            co_await asio::async_write(peer,
                                       asio::buffer(buffer.data(), received_bytes),
                                       asio::redirect_error(use_awaitable, error));
        }
    }
}

inline task accept_all(acceptor& listener) {
    for (;;) {
        socket peer = co_await listener.async_accept(use_awaitable);
        auto const where = peer.get_executor();
        asio::co_spawn(where, echo(std::move(peer)), rethrow);
    }
}

/// Echoes on every connection to `listener`, on the listener's context. The listener must outlive
/// the context's run.
inline void start_echo_server(acceptor& listener) {
    listener.set_option(tcp::no_delay(true));  // accepted connections inherit it
    asio::co_spawn(listener.get_executor(), accept_all(listener), rethrow);
}

}  // namespace asio_peer
