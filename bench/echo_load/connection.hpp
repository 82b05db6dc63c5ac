#pragma once

#include <weft/bench/echo_load/file_descriptor.hpp>
#include <weft/bench/echo_load/message_pattern.hpp>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace echo_load {

/// What all connections of one thread share.
struct traffic {
    message_pattern pattern;
    std::size_t message_size = 0;
    bool verify = true;
    std::vector<char> received = std::vector<char>(message_pattern::piece_size);
};

enum class connection_state { open, lost, mismatched };

/// One nonblocking socket and how far its stream has been asked for, written and echoed.
///
/// Once the state is not `open` nothing moves any more; the descriptor stays until destruction.
/// Invariant: received <= written <= requested; a server that answers more than it got mismatches.
class connection {
public:
    /// `phase` moves this connection's stream within the pattern, so that bytes of another
    /// connection show as wrong.
    connection(file_descriptor socket, std::uint64_t phase) noexcept;

    int descriptor() const noexcept { return socket_.value(); }

    bool is_open() const noexcept { return state_ == connection_state::open; }

    connection_state state() const noexcept { return state_; }

    /// errno of the loss; 0 if the server closed in good order.
    int error() const noexcept { return error_; }

    bool is_write_blocked() const noexcept { return is_open() && written_ < requested_; }

    std::uint64_t started() const noexcept { return started_; }

    std::uint64_t completed() const noexcept { return completed_; }

    std::uint64_t outstanding() const noexcept { return started_ - completed_; }

    /// Asks for `count` more messages; `write` sends them.
    void start(traffic const& shared, std::uint64_t count) noexcept;

    /// Writes until everything asked for is written or the socket takes no more.
    void write(traffic const& shared) noexcept;

    /// Reads what has arrived, as far as one short read tells; with `to_the_end`, until the socket
    /// says that there is no more. Gives the number of messages completed.
    std::uint64_t read(traffic& shared, bool to_the_end) noexcept;

private:
    void accept_bytes(traffic const& shared, std::size_t size) noexcept;
    void lose(int error) noexcept;

    file_descriptor socket_;
    connection_state state_ = connection_state::open;
    int error_ = 0;
    std::uint64_t phase_;
    std::uint64_t requested_ = 0;
    std::uint64_t written_ = 0;
    std::uint64_t received_ = 0;
    std::uint64_t started_ = 0;
    std::uint64_t completed_ = 0;
};

}  // namespace echo_load
