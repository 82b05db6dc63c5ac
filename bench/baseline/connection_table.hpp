#pragma once

#include <weft/bench/baseline/sockets.hpp>

#include <cstddef>
#include <memory>
#include <vector>

namespace baseline {

/// The open connections of a server, owned, in the place of their file descriptor. A connection
/// keeps its address until it is closed.
template <class Connection>
class connection_table {
public:
    /// Takes over `fd`.
    Connection& open(int fd) {
        auto const index = static_cast<std::size_t>(fd);
        if (index >= connections_.size()) {
            connections_.resize(index + 1);
        }
        connections_[index] = std::make_unique<Connection>(fd);
        return *connections_[index];
    }

    void close(Connection& connection) {
        connections_[static_cast<std::size_t>(connection.socket.value())].reset();
    }

private:
    std::vector<std::unique_ptr<Connection>> connections_;
};

}  // namespace baseline
