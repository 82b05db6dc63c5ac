#pragma once

/// The echo server that weft's benchmarks measure: what examples/echo_server.cpp does, with the
/// buffer of the hand-written ones.

#include <weft/bench/baseline/options.hpp>
#include <weft/io/net/tcp.hpp>
#include <weft/runtime/pool/runtime_base.hpp>
#include <weft/runtime/task/as_result.hpp>
#include <weft/runtime/task/task.hpp>

#include <array>
#include <cstddef>
#include <span>
#include <utility>

namespace weft::bench {

inline task<> echo(tcp_stream peer) {
    std::array<std::byte, baseline::buffer_size_bytes> data;
    for (;;) {
        auto const got = co_await (peer.read_some(data) | as_result);
        if (!got || *got == 0) {
            co_return;
        }
        auto const sent = co_await (peer.write_all(std::span(data).first(*got)) | as_result);
        if (!sent) {
            co_return;
        }
    }
}

inline task<> accept_all(tcp_listener listener) {
    for (;;) {
        spawn(echo(co_await listener.accept()));
    }
}

}  // namespace weft::bench
