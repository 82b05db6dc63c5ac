// Holds 15,000 idle connections in an echo server of its own process, talks over 1,000 of them, and
// reports what an idle connection costs the server: user memory and descriptors.
//
// usage: idle_connections [CONNECTIONS]
// The program runs itself as the server; they speak over the server's stdin and stdout:
//   server: its port (4 bytes)        as soon as it listens
//   test:   any byte, server: how many sessions have begun (4 bytes)
//   test:   end of file               the server ends

#include <weft/io/net/tcp.hpp>
#include <weft/io/runtime.hpp>
#include <weft/runtime/values/unique_fd.hpp>
#include <weft/tests/support/fd_count.hpp>
#include <weft/tests/support/loopback.hpp>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

using namespace weft::test;
using weft::unique_fd;

constexpr int exit_skipped = 77;
constexpr std::size_t usual_connections = 15'000;
constexpr std::size_t talkers = 1'000;
constexpr std::size_t connections_per_address = 5'000;

/// Ends the program with a message: whatever follows would mean nothing.
void require(bool holds, char const* what) {
    if (!holds) {
        std::fprintf(stderr, "failed: %s\n", what);
        std::exit(EXIT_FAILURE);
    }
}

void write_fully(int fd, void const* data, std::size_t size) {
    require(::write(fd, data, size) == static_cast<::ssize_t>(size),
            "writing to the other process");
}

template <class T>
[[nodiscard]] T read_value(int fd) {
    T value{};
    require(::read(fd, &value, sizeof value) == static_cast<::ssize_t>(sizeof value),
            "reading from the other process");
    return value;
}

// --- the server ----------------------------------------------------------------------------

std::atomic<std::uint32_t> sessions_begun{0};

template <std::size_t Size>
weft::task<> serve(weft::tcp_stream peer) {
    std::array<std::byte, Size> data;
    ++sessions_begun;
    for (;;) {
        auto const got = co_await (peer.read_some(data) | weft::as_result);
        if (!got || *got == 0) {
            co_return;
        }
        auto const sent = co_await (peer.write_all(std::span(data).first(*got)) | weft::as_result);
        if (!sent) {
            co_return;
        }
    }
}

template <std::size_t Size>
weft::task<> accept_all(weft::tcp_listener& listener) {
    for (;;) {
        weft::spawn(serve<Size>(co_await listener.accept()));
    }
}

template <std::size_t Size>
int run_server() {
    std::size_t const descriptors = fd_count();
    {
        weft::tcp_listener listener(weft::address::loopback_v4(0));
        weft::runtime runtime;
        std::fprintf(stderr, "server: %s\n", runtime.driver_report().c_str());
        runtime.spawn(accept_all<Size>(listener));
        std::uint32_t const port = listener.local_address().port();
        write_fully(STDOUT_FILENO, &port, sizeof port);
        char command = 0;
        while (::read(STDIN_FILENO, &command, 1) == 1) {
            std::uint32_t const count = sessions_begun.load();
            write_fully(STDOUT_FILENO, &count, sizeof count);
        }
    }
    bool const is_clean = weft::detail::frame_pool::live_frames() == 0 && fd_count() == descriptors;
    return is_clean ? EXIT_SUCCESS : EXIT_FAILURE;
}

// --- the server, seen from outside -------------------------------------------------------------

class server_process {
public:
    explicit server_process(char const* buffer_size) {
        int to_server[2];
        int from_server[2];
        require_call(::pipe2(to_server, O_CLOEXEC) == 0, "pipe2");
        require_call(::pipe2(from_server, O_CLOEXEC) == 0, "pipe2");
        unique_fd const server_input(to_server[0]);
        unique_fd const server_output(from_server[1]);
        commands_.reset(to_server[1]);
        answers_.reset(from_server[0]);
        child_ = ::fork();
        require_call(child_ >= 0, "fork");
        if (child_ == 0) {
            ::dup2(server_input.value(), STDIN_FILENO);
            ::dup2(server_output.value(), STDOUT_FILENO);
            ::execl("/proc/self/exe", "server", "--serve", buffer_size, nullptr);
            std::perror("execl");
            ::_exit(127);
        }
        port_ = static_cast<std::uint16_t>(read_value<std::uint32_t>(answers_.value()));
    }

    server_process(server_process const&) = delete;
    server_process& operator=(server_process const&) = delete;

    ~server_process() { require(!commands_, "a server was not ended"); }

    [[nodiscard]] weft::address where() const noexcept { return weft::address::loopback_v4(port_); }

    [[nodiscard]] std::uint32_t sessions() const {
        write_fully(commands_.value(), "?", 1);
        return read_value<std::uint32_t>(answers_.value());
    }

    /// Memory that belongs to the server alone and is not backed by a file.
    [[nodiscard]] std::size_t private_bytes() const {
        std::ifstream rollup("/proc/" + std::to_string(child_) + "/smaps_rollup");
        std::string field;
        std::size_t kilobytes = 0;
        while (rollup >> field) {
            if (field == "Anonymous:" && rollup >> kilobytes) {
                return kilobytes * 1024;
            }
        }
        require(false, "smaps_rollup has no Anonymous");
        return 0;
    }

    [[nodiscard]] std::size_t descriptors() const {
        std::filesystem::directory_iterator const all("/proc/" + std::to_string(child_) + "/fd");
        return static_cast<std::size_t>(std::distance(begin(all), end(all)));
    }

    /// Gives its exit status.
    [[nodiscard]] int end_it() {
        commands_.reset();
        int status = -1;
        require_call(::waitpid(child_, &status, 0) == child_, "waitpid");
        return status;
    }

private:
    unique_fd commands_;
    unique_fd answers_;
    ::pid_t child_ = 0;
    std::uint16_t port_ = 0;
};

/// From 127.0.0.2 on, so that the ports of one address suffice.
unique_fd connect_from(std::size_t index, weft::address const& server) {
    unique_fd made = plain_socket();
    int const on = 1;
    require_call(
        ::setsockopt(made.value(), IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on) == 0,
        "setsockopt");
    ::sockaddr_in source{};
    source.sin_family = AF_INET;
    auto const host = static_cast<std::uint32_t>(2 + index / connections_per_address);
    source.sin_addr.s_addr = htonl(INADDR_LOOPBACK - 1 + host);
    require_call(
        ::bind(made.value(), reinterpret_cast<::sockaddr const*>(&source), sizeof source) == 0,
        "bind");
    require_call(::connect(made.value(), server.data(), server.size()) == 0, "connect");
    reset_on_close(made.value());
    return made;
}

std::vector<unique_fd> connect_all(std::size_t count, server_process const& server) {
    std::vector<unique_fd> connections;
    connections.reserve(count);
    while (connections.size() < count) {
        connections.push_back(connect_from(connections.size(), server.where()));
    }
    return connections;
}

/// Sends a message of its own over every n-th connection, and only then reads the answers.
void talk(std::vector<unique_fd> const& connections) {
    std::size_t const step = connections.size() / talkers != 0 ? connections.size() / talkers : 1;
    constexpr std::size_t size = 1024;
    std::array<std::uint32_t, size / sizeof(std::uint32_t)> message;
    for (int round = 0; round < 3; ++round) {
        for (std::size_t i = 0; i < connections.size(); i += step) {
            message.fill(static_cast<std::uint32_t>(i * 31 + static_cast<std::size_t>(round)));
            require_call(::send(connections[i].value(), message.data(), size, MSG_NOSIGNAL) ==
                             static_cast<::ssize_t>(size),
                         "send");
        }
        for (std::size_t i = 0; i < connections.size(); i += step) {
            message.fill(0);
            require_call(::recv(connections[i].value(), message.data(), size, MSG_WAITALL) ==
                             static_cast<::ssize_t>(size),
                         "recv");
            for (std::uint32_t const word : message) {
                require(
                    word == static_cast<std::uint32_t>(i * 31 + static_cast<std::size_t>(round)),
                    "an echo differs from what was sent");
            }
        }
    }
}

double per_connection(std::size_t before, std::size_t after, std::size_t connections) {
    return (static_cast<double>(after) - static_cast<double>(before)) /
           static_cast<double>(connections);
}

void measure(std::size_t count, char const* buffer_size) {
    server_process server(buffer_size);
    std::size_t const bytes_before = server.private_bytes();
    std::size_t const descriptors_before = server.descriptors();
    auto connections = connect_all(count, server);
    while (server.sessions() != count) {
    }
    std::size_t const bytes_idle = server.private_bytes();
    std::size_t const descriptors_idle = server.descriptors();
    talk(connections);
    std::size_t const bytes_after = server.private_bytes();
    std::printf(
        "%zu idle connections, buffers of %s bytes: %.0f bytes of user memory each (%.0f after "
        "traffic on %zu of them), %zu descriptors (%zu before)\n",
        count,
        buffer_size,
        per_connection(bytes_before, bytes_idle, count),
        per_connection(bytes_before, bytes_after, count),
        talkers < count ? talkers : count,
        descriptors_idle,
        descriptors_before);
    require(descriptors_idle == descriptors_before + count, "a connection costs one descriptor");
    connections.clear();
    require(server.end_it() == 0, "the server ended with frames or descriptors left");
}

/// Raises the limit of descriptors as far as it goes and gives it.
std::size_t raise_descriptor_limit() {
    ::rlimit limit{};
    require_call(::getrlimit(RLIMIT_NOFILE, &limit) == 0, "getrlimit");
    limit.rlim_cur = limit.rlim_max;
    require_call(::setrlimit(RLIMIT_NOFILE, &limit) == 0, "setrlimit");
    return limit.rlim_max;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc == 3 && std::string_view(argv[1]) == "--serve") {
        return std::string_view(argv[2]) == "512" ? run_server<512>() : run_server<4096>();
    }
    std::size_t const count = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : usual_connections;
    std::size_t const needed = count + 1'000;
    if (std::size_t const limit = raise_descriptor_limit(); limit < needed) {
        std::fprintf(
            stderr, "skipped: needs %zu descriptors, the hard limit is %zu\n", needed, limit);
        return exit_skipped;
    }
    measure(count, "4096");
    measure(count, "512");
}
