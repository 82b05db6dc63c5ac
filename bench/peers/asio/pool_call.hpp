#pragma once

#include <weft/bench/peers/asio/library.hpp>

#include <cstdint>
#include <utility>

namespace asio_peer {

/// `co_await`: calls `function()` on a thread of the pool, and gives what it gives on the context
/// of the coroutine.
template <class Function>
auto call_in(asio::thread_pool& pool, Function function) {
    using token = asio::use_awaitable_t<asio::io_context::executor_type>;
    return asio::async_initiate<token const, void(std::uint64_t)>(
        [&pool, function](auto handler) {
            auto const home = asio::get_associated_executor(handler);
            asio::post(pool, [home, function, handler = std::move(handler)]() mutable {
                std::uint64_t const value = function();
                asio::post(home, [value, handler = std::move(handler)]() mutable {
                    std::move(handler)(value);
                });
            });
        },
        token());
}

}  // namespace asio_peer
