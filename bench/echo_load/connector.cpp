#include <weft/bench/echo_load/connector.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <utility>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <sys/resource.h>

namespace echo_load {

namespace {

using clock = std::chrono::steady_clock;

constexpr std::uint32_t first_source = 0x7F00'0002;  // 127.0.0.2
constexpr std::size_t source_count = 250;
constexpr auto retry_pause = std::chrono::milliseconds(20);

// The kernel counts SO_SNDTIMEO against connect() as well.
void limit_connect(int socket, std::chrono::nanoseconds left) {
    auto const microseconds =
        std::chrono::duration_cast<std::chrono::microseconds>(left).count() + 1;
    ::timeval const limit{.tv_sec = microseconds / 1'000'000, .tv_usec = microseconds % 1'000'000};
    ::setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

// With IP_BIND_ADDRESS_NO_PORT the port is chosen by connect(), which may give one port to several
// destinations and sources.
int bind_source(int socket, ::sockaddr_in const& source) {
    int const on = 1;
    ::setsockopt(socket, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    auto const* const generic = reinterpret_cast<::sockaddr const*>(&source);
    return ::bind(socket, generic, sizeof source) == 0 ? 0 : errno;
}

bool may_succeed_later(int error) {
    return error == ECONNREFUSED || error == ECONNRESET || error == EINTR;
}

}  // namespace

std::size_t raise_descriptor_limit() noexcept {
    ::rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
    ::getrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_cur;
}

connector::connector(std::string const& host, std::uint16_t port, std::chrono::nanoseconds patience)
    : patience_(patience) {
    ::addrinfo hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    ::addrinfo* list = nullptr;
    int const failure = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &list);
    if (failure != 0) {
        throw std::runtime_error(host + ": " + ::gai_strerror(failure));
    }
    for (auto const* entry = list; entry != nullptr; entry = entry->ai_next) {
        endpoint found;
        found.size = entry->ai_addrlen;
        std::memcpy(&found.address, entry->ai_addr, entry->ai_addrlen);
        endpoints_.push_back(found);
    }
    ::freeaddrinfo(list);
}

std::vector<file_descriptor> connector::open(std::size_t count) {
    std::vector<file_descriptor> opened;
    opened.reserve(count);
    while (opened.size() < count) {
        opened.push_back(open_one(nullptr));
    }
    return opened;
}

std::vector<file_descriptor> connector::open_idle(std::size_t count) {
    std::vector<file_descriptor> opened;
    opened.reserve(count);
    while (opened.size() < count) {
        ::sockaddr_in source{};
        source.sin_family = AF_INET;
        auto const turn = static_cast<std::uint32_t>(opened.size() % source_count);
        source.sin_addr.s_addr = htonl(first_source + turn);
        opened.push_back(open_one(is_loopback_v4() ? &source : nullptr));
    }
    return opened;
}

file_descriptor connector::open_one(::sockaddr_in const* source) {
    auto const deadline = clock::now() + patience_;
    for (;;) {
        file_descriptor socket;
        auto const left = std::max(deadline - clock::now(), clock::duration::zero());
        int const error = try_once(socket, source, left);
        if (error == 0) {
            return socket;
        }
        bool const is_last_chance = clock::now() + retry_pause >= deadline;
        if (is_last_chance || !(may_succeed_later(error) || endpoints_.size() > 1)) {
            auto const reason = error == EINPROGRESS ? ETIMEDOUT : error;
            throw std::runtime_error("cannot connect: " + std::generic_category().message(reason));
        }
        std::this_thread::sleep_for(retry_pause);
        chosen_ = (chosen_ + 1) % endpoints_.size();
    }
}

int connector::try_once(file_descriptor& socket,
                        ::sockaddr_in const* source,
                        std::chrono::nanoseconds left) const {
    auto const& server = endpoints_[chosen_];
    socket = file_descriptor(::socket(server.address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (socket.value() < 0) {
        return errno;
    }
    if (source != nullptr) {
        if (int const error = bind_source(socket.value(), *source); error != 0) {
            return error;
        }
    }
    limit_connect(socket.value(), left);
    auto const* const generic = reinterpret_cast<::sockaddr const*>(&server.address);
    if (::connect(socket.value(), generic, server.size) != 0) {
        return errno;
    }
    int const on = 1;
    ::setsockopt(socket.value(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return ::fcntl(socket.value(), F_SETFL, O_RDWR | O_NONBLOCK) == 0 ? 0 : errno;
}

bool connector::is_loopback_v4() const noexcept {
    if (endpoints_[chosen_].address.ss_family != AF_INET) {
        return false;
    }
    ::sockaddr_in address{};
    std::memcpy(&address, &endpoints_[chosen_].address, sizeof address);
    return ntohl(address.sin_addr.s_addr) >> 24 == 127;
}

std::size_t count_closed(std::vector<file_descriptor> const& idle) noexcept {
    auto const is_closed = [](file_descriptor const& socket) {
        char byte = 0;
        ssize_t const got = ::recv(socket.value(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
        return got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR);
    };
    return static_cast<std::size_t>(std::count_if(idle.begin(), idle.end(), is_closed));
}

}  // namespace echo_load
