#pragma once

#include <weft/bench/baseline/connection_table.hpp>
#include <weft/bench/baseline/options.hpp>
#include <weft/bench/baseline/sockets.hpp>
#include <weft/bench/baseline/uring_loop.hpp>

#include <cerrno>

namespace baseline {

/// Echoes on every connection to `listener` until `end` is readable. Each connection has one
/// operation in flight: a recv, or the send of what the recv brought.
class uring_echo_server {
public:
    uring_echo_server(int listener, int end) : listener_(listener), end_(end) {}

    void run() {
        // Their own addresses tell these two apart from the connections.
        loop_.poll_readable(end_, &end_tag_);
        loop_.accept(listener_, &accept_tag_);
        loop_.run([this](void* tag, int result) { complete(tag, result); });
    }

private:
    struct connection {
        explicit connection(int fd) : socket(fd) {}

        owned_fd const socket;
        bool sending = false;
        unsigned received_bytes = 0;
        unsigned sent_bytes = 0;
        char buffer[buffer_size_bytes];
    };

    void complete(void* tag, int result) {
        if (tag == &end_tag_) {
            loop_.stop();
        } else if (tag == &accept_tag_) {
            complete_accept(result);
        } else {
            complete_transfer(*static_cast<connection*>(tag), result);
        }
    }

    void complete_accept(int result) {
        if (result >= 0) {
            recv(connections_.open(result));
        } else if (result != -ECONNABORTED && result != -EINTR) {
            fail("accept", -result);
        }
        loop_.accept(listener_, &accept_tag_);
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
        loop_.recv(peer.socket.value(), peer.buffer, sizeof peer.buffer, &peer);
    }

    void send(connection& peer) {
        peer.sending = true;
        loop_.send(peer.socket.value(),
                   peer.buffer + peer.sent_bytes,
                   peer.received_bytes - peer.sent_bytes,
                   &peer);
    }

    int const listener_;
    int const end_;
    char end_tag_ = 0;
    char accept_tag_ = 0;
    // Destroyed after the ring: until that is gone the kernel may write to the buffers.
    connection_table<connection> connections_;
    uring_loop loop_;
};

}  // namespace baseline
