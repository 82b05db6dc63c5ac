#include <weft/bench/echo_load/connection.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include <sys/socket.h>

namespace echo_load {

connection::connection(file_descriptor socket, std::uint64_t phase) noexcept
    : socket_(std::move(socket))
    , phase_(phase) {}

void connection::start(traffic const& shared, std::uint64_t count) noexcept {
    started_ += count;
    requested_ += count * shared.message_size;
}

void connection::write(traffic const& shared) noexcept {
    while (is_write_blocked()) {
        auto const left = requested_ - written_;
        auto const size = std::min<std::uint64_t>(left, message_pattern::piece_size);
        auto const* const piece = shared.pattern.at(phase_ + written_);
        ssize_t const sent = ::send(descriptor(), piece, size, MSG_NOSIGNAL);
        if (sent >= 0) {
            written_ += static_cast<std::uint64_t>(sent);
        } else if (errno == EAGAIN) {
            return;
        } else if (errno != EINTR) {
            lose(errno);
        }
    }
}

std::uint64_t connection::read(traffic& shared, bool to_the_end) noexcept {
    auto const completed_before = completed_;
    while (is_open()) {
        ssize_t const got = ::recv(descriptor(), shared.received.data(), shared.received.size(), 0);
        if (got > 0) {
            accept_bytes(shared, static_cast<std::size_t>(got));
            if (static_cast<std::size_t>(got) < shared.received.size() && !to_the_end) {
                break;
            }
        } else if (got == 0) {
            lose(0);
        } else if (errno == EAGAIN) {
            break;
        } else if (errno != EINTR) {
            lose(errno);
        }
    }
    return completed_ - completed_before;
}

void connection::accept_bytes(traffic const& shared, std::size_t size) noexcept {
    bool const excess = size > written_ - received_;
    if (excess ||
        (shared.verify &&
         std::memcmp(shared.received.data(), shared.pattern.at(phase_ + received_), size) != 0)) {
        state_ = connection_state::mismatched;
        return;
    }
    received_ += size;
    completed_ = received_ / shared.message_size;
}

void connection::lose(int error) noexcept {
    state_ = connection_state::lost;
    error_ = error;
}

}  // namespace echo_load
