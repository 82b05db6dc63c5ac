#pragma once

#include <weft/bench/baseline/connection_table.hpp>
#include <weft/bench/baseline/epoll_loop.hpp>
#include <weft/bench/baseline/options.hpp>
#include <weft/bench/baseline/sockets.hpp>

#include <cerrno>
#include <cstddef>
#include <cstdint>

#include <sys/socket.h>

namespace baseline {

/// Echoes on every connection to `listener`, a nonblocking socket, until `end` is readable. What
/// has been read is written at once; only if the socket takes less than all of it does the
/// connection wait until it is writable, and it reads nothing meanwhile.
class epoll_echo_server {
public:
    epoll_echo_server(int listener, int end) : listener_(listener), end_(end) {}

    void run() {
        // Their own addresses tell these two apart from the connections.
        loop_.watch(end_, EPOLLIN, &end_tag_);
        loop_.watch(listener_, EPOLLIN, &accept_tag_);
        loop_.run([this](void* tag, std::uint32_t events) { handle(tag, events); });
    }

private:
    // Edge-triggered: the kernel then need not look at each reported socket once more.
    static constexpr std::uint32_t reading = EPOLLIN | EPOLLRDHUP | EPOLLET;
    static constexpr std::uint32_t writing = EPOLLOUT | EPOLLET;

    struct connection {
        explicit connection(int fd) : socket(fd) {}

        owned_fd const socket;
        std::size_t received_bytes = 0;
        std::size_t sent_bytes = 0;
        char buffer[buffer_size_bytes];
    };

    enum class outcome { complete, would_block, closed };

    void handle(void* tag, std::uint32_t events) {
        if (tag == &end_tag_) {
            loop_.stop();
        } else if (tag == &accept_tag_) {
            accept_all();
        } else {
            advance(*static_cast<connection*>(tag), events);
        }
    }

    void accept_all() {
        for (;;) {
            int const fd = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
            if (fd >= 0) {
                auto& peer = connections_.open(fd);
                loop_.watch(fd, reading, &peer);
            } else if (errno == EAGAIN) {
                return;
            } else if (errno != ECONNABORTED && errno != EINTR) {
                fail("accept4", errno);
            }
        }
    }

    void advance(connection& peer, std::uint32_t events) {
        bool const resumes_sending = peer.sent_bytes < peer.received_bytes;
        outcome result = resumes_sending ? send_rest(peer) : outcome::complete;
        if (result == outcome::complete) {
            result = echo_all(peer, resumes_sending || (events & EPOLLIN) != events);
        }
        if (result == outcome::closed) {
            connections_.close(peer);
        } else if (result == outcome::would_block) {
            loop_.rewatch(peer.socket.value(), writing, &peer);
        } else if (resumes_sending) {
            loop_.rewatch(peer.socket.value(), reading, &peer);
        }
    }

    /// Reads and writes until the socket is empty. A read that leaves room in the buffer has
    /// emptied it, and what arrives later is a new edge; but the end of the stream, if it is part
    /// of this event (`to_the_end`), shows only in one more read.
    outcome echo_all(connection& peer, bool to_the_end) {
        for (;;) {
            auto const count = ::recv(peer.socket.value(), peer.buffer, sizeof peer.buffer, 0);
            if (count <= 0) {
                return count < 0 && errno == EAGAIN ? outcome::complete : outcome::closed;
            }
            peer.received_bytes = static_cast<std::size_t>(count);
            peer.sent_bytes = 0;
            if (auto const result = send_rest(peer); result != outcome::complete) {
                return result;
            }
            if (peer.received_bytes < sizeof peer.buffer && !to_the_end) {
                return outcome::complete;
            }
        }
    }

    outcome send_rest(connection& peer) {
        while (peer.sent_bytes < peer.received_bytes) {
            auto const count = ::send(peer.socket.value(),
                                      peer.buffer + peer.sent_bytes,
                                      peer.received_bytes - peer.sent_bytes,
                                      MSG_NOSIGNAL);
            if (count < 0) {
                return errno == EAGAIN ? outcome::would_block : outcome::closed;
            }
            peer.sent_bytes += static_cast<std::size_t>(count);
        }
        return outcome::complete;
    }

    int const listener_;
    int const end_;
    char end_tag_ = 0;
    char accept_tag_ = 0;
    connection_table<connection> connections_;
    epoll_loop loop_;
};

}  // namespace baseline
