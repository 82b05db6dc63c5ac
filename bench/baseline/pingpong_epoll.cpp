// Question: what do request and reply cost when both ends are written by hand on epoll? A client
// and a server thread, each with its epoll set, keep one message in flight on each of 20 loopback
// connections. Excluded: connection set-up, the warm-up, clock reads (a third, sleeping thread
// takes the times). Would invalidate it: fewer than two idle CPUs; comparing the CPU time per
// request of runs with different message sizes or connection counts, for both change how much is
// batched.

#include <weft/bench/baseline/epoll_echo_server.hpp>
#include <weft/bench/baseline/epoll_loop.hpp>
#include <weft/bench/baseline/options.hpp>
#include <weft/bench/baseline/pingpong.hpp>
#include <weft/bench/baseline/sockets.hpp>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include <sys/socket.h>

namespace {

class epoll_client {
public:
    epoll_client(std::uint16_t port,
                 baseline::pingpong_options const& options,
                 baseline::measured_run& run)
        : run_(run) {
        for (unsigned i = 0; i < options.connections; ++i) {
            connections_.push_back(std::make_unique<connection>(baseline::connect_to_loopback(port),
                                                                options.message_bytes));
        }
    }

    void run() {
        active_count_ = connections_.size();
        for (auto const& each : connections_) {
            loop_.watch(each->socket.value(), EPOLLIN | EPOLLET, each.get());
            begin_round(*each);
        }
        loop_.run([this](void* tag, std::uint32_t) { advance(*static_cast<connection*>(tag)); });
    }

private:
    struct connection {
        connection(int fd, std::size_t message_bytes) : socket(fd), messages(message_bytes) {}

        baseline::owned_fd const socket;
        baseline::exchange messages;
    };

    /// One read is enough: it takes all that has arrived of the reply, the only bytes there can be,
    /// and the arrival of the rest is a new edge.
    void advance(connection& peer) {
        auto const room = peer.messages.missing();
        auto const count = ::recv(peer.socket.value(), room.data(), room.size(), MSG_DONTWAIT);
        if (count <= 0) {
            if (count < 0 && errno == EAGAIN) {
                return;
            }
            baseline::fail("recv", count < 0 ? errno : ECONNRESET);
        }
        if (peer.messages.add_received(static_cast<std::size_t>(count))) {
            run_.count_request();
            end_round(peer);
        }
    }

    void end_round(connection& peer) {
        if (!run_.is_ending()) {
            begin_round(peer);
        } else if (--active_count_ == 0) {
            loop_.stop();
        }
    }

    /// The send buffer is empty between two rounds and takes a whole message.
    void begin_round(connection& peer) {
        peer.messages.begin_round();
        auto const request = peer.messages.unsent();
        auto const count = ::send(
            peer.socket.value(), request.data(), request.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
        if (count < 0 || static_cast<std::size_t>(count) < request.size()) {
            baseline::fail("send", count < 0 ? errno : EAGAIN);
        }
    }

    baseline::measured_run& run_;
    std::size_t active_count_ = 0;
    std::vector<std::unique_ptr<connection>> connections_;
    baseline::epoll_loop loop_;
};

}  // namespace

int main(int argc, char** argv) {
    auto const options = baseline::read_pingpong_options(argc, argv);
    baseline::run_pingpong<baseline::epoll_echo_server, epoll_client>(options, SOCK_NONBLOCK);
    return 0;
}
