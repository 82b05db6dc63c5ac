#pragma once

#include <weft/bench/baseline/connection_table.hpp>
#include <weft/bench/baseline/options.hpp>
#include <weft/bench/baseline/sockets.hpp>
#include <weft/bench/baseline/uring_loop.hpp>

#include <cerrno>
#include <cstddef>
#include <cstdint>

namespace baseline {

/// Echoes on every connection to `listener` until `end` is readable. Each connection has one
/// operation in flight: a recv, or the send of what the recv brought.
class uring_echo_server {
public:
    uring_echo_server(int listener, int end) : listener_(listener), end_(end) {}

    void run() {
        loop_.poll_readable(end_, end_tag);
        loop_.accept(listener_, accept_tag);
        loop_.run([this](std::uint64_t tag, int result) { complete(tag, result); });
    }

private:
    // Smaller than any connection's address, which is the tag of its operations.
    static constexpr std::uint64_t end_tag = 0;
    static constexpr std::uint64_t accept_tag = 1;

    struct connection {
        explicit connection(int fd) : socket(fd) {}

        owned_fd const socket;
        bool sending = false;
        unsigned received_bytes = 0;
        unsigned sent_bytes = 0;
        char buffer[buffer_size_bytes];
    };

    void complete(std::uint64_t tag, int result) {
        if (tag == end_tag) {
            loop_.stop();
        } else if (tag == accept_tag) {
            complete_accept(result);
        } else {
            complete_transfer(*reinterpret_cast<connection*>(tag), result);
        }
    }

    void complete_accept(int result) {
        if (result >= 0) {
            recv(connections_.open(result));
        } else if (result != -ECONNABORTED && result != -EINTR) {
            fail("accept", -result);
        }
        loop_.accept(listener_, accept_tag);
    }

    void complete_transfer(connection& peer, int result) {
        if (result <= 0) {  // the peer closed, or the connection broke
            connections_.close(peer);
        } else if (!peer.sending) {
            peer.received_bytes = static_cast<unsigned>(result);
            peer.sent_bytes = 0;
            send(peer);
        } else {
            peer.sent_bytes += static_cast<unsigned>(result);
            if (peer.sent_bytes < peer.received_bytes) {
                send(peer);
            } else {
                recv(peer);
            }
        }
    }

    void recv(connection& peer) {
        peer.sending = false;
        loop_.recv(peer.socket.value(), peer.buffer, sizeof peer.buffer, tag_of(peer));
    }

    void send(connection& peer) {
        peer.sending = true;
        loop_.send(peer.socket.value(),
                   peer.buffer + peer.sent_bytes,
                   peer.received_bytes - peer.sent_bytes,
                   tag_of(peer));
    }

    static std::uint64_t tag_of(connection& peer) {
        return reinterpret_cast<std::uintptr_t>(&peer);
    }

    int const listener_;
    int const end_;
    // Destroyed after the ring: until that is gone the kernel may write to the buffers.
    connection_table<connection> connections_;
    uring_loop loop_;
};

}  // namespace baseline
