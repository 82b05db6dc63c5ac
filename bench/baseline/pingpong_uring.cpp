// Question: what do request and reply cost when both ends are written by hand on io_uring? A client
// and a server thread, each with its ring, keep one message in flight on each of 20 loopback
// connections. Excluded: connection set-up, the warm-up, clock reads (a third, sleeping thread
// takes the times). Would invalidate it: fewer than two idle CPUs; comparing the CPU time per
// request of runs with different message sizes or connection counts, for both change how much is
// batched.

#include <weft/bench/baseline/options.hpp>
#include <weft/bench/baseline/pingpong.hpp>
#include <weft/bench/baseline/sockets.hpp>
#include <weft/bench/baseline/uring_echo_server.hpp>
#include <weft/bench/baseline/uring_loop.hpp>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace {

class uring_client {
public:
    uring_client(std::uint16_t port,
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
            begin_round(*each);
        }
        loop_.run(
            [this](void* tag, int result) { complete(*static_cast<connection*>(tag), result); });
    }

private:
    struct connection {
        connection(int fd, std::size_t message_bytes) : socket(fd), messages(message_bytes) {}

        baseline::owned_fd const socket;
        bool sending = false;
        baseline::exchange messages;
    };

    void complete(connection& peer, int result) {
        if (result <= 0) {
            baseline::fail(peer.sending ? "send" : "recv", result < 0 ? -result : ECONNRESET);
        }
        auto const size_bytes = static_cast<std::size_t>(result);
        if (peer.sending) {
            peer.messages.add_sent(size_bytes);
            if (peer.messages.unsent().empty()) {
                recv(peer);
            } else {
                send(peer);
            }
        } else if (!peer.messages.add_received(size_bytes)) {
            recv(peer);
        } else {
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

    void begin_round(connection& peer) {
        peer.messages.begin_round();
        send(peer);
    }

    void send(connection& peer) {
        peer.sending = true;
        auto const rest = peer.messages.unsent();
        loop_.send(peer.socket.value(), rest.data(), rest.size(), &peer);
    }

    void recv(connection& peer) {
        peer.sending = false;
        auto const room = peer.messages.missing();
        loop_.recv(peer.socket.value(), room.data(), room.size(), &peer);
    }

    baseline::measured_run& run_;
    std::size_t active_count_ = 0;
    std::vector<std::unique_ptr<connection>> connections_;
    baseline::uring_loop loop_;
};

}  // namespace

int main(int argc, char** argv) {
    auto const options = baseline::read_pingpong_options(argc, argv);
    baseline::run_pingpong<baseline::uring_echo_server, uring_client>(options, 0);
    return 0;
}
