#include <weft/io/op/direct_call.hpp>

#include <cerrno>
#include <cstring>

#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace weft::detail {

namespace {

[[nodiscard]] int answer_of(::ssize_t count) noexcept {
    return count >= 0 ? static_cast<int>(count) : -errno;
}

[[nodiscard]] ::msghdr header_of(io_op const& op) noexcept {
    ::msghdr header{};
    header.msg_iov = op.vectors;
    header.msg_iovlen = chunk_count(op.vector_count);
    return header;
}

/// The first call starts the connection, the next ones ask how it went.
[[nodiscard]] int connect_now(io_op& op) noexcept {
    int const fd = op.socket->fd();
    if (op.stage != direct_call_connecting) {
        if (::connect(fd, op.address, op.address_length) == 0) {
            return 0;
        }
        if (errno != EINPROGRESS && errno != EINTR) {
            return errno == EAGAIN ? -EADDRNOTAVAIL : -errno;
        }
        op.stage = direct_call_connecting;
        return -EAGAIN;
    }
    int error = 0;
    ::socklen_t length = sizeof error;
    if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0) {
        return -errno;
    }
    if (error != 0) {
        return -error;
    }
    ::sockaddr_storage peer;
    length = sizeof peer;
    if (::getpeername(fd, reinterpret_cast<::sockaddr*>(&peer), &length) == 0) {
        return 0;
    }
    return errno == ENOTCONN ? -EAGAIN : -errno;
}

/// Bytes in the receive queue as a control message tells them, or -1. The end of the stream counts
/// as one more byte, before it was read and afterwards.
[[nodiscard]] int unread_with_end(int fd) noexcept {
    alignas(::cmsghdr) unsigned char control[CMSG_SPACE(sizeof(int))];
    ::msghdr header{};
    header.msg_control = control;
    header.msg_controllen = sizeof control;
    if (::recvmsg(fd, &header, MSG_DONTWAIT) != 0) {
        return -1;
    }
    ::cmsghdr const* const message = CMSG_FIRSTHDR(&header);
    if (message == nullptr || message->cmsg_level != SOL_TCP || message->cmsg_type != TCP_CM_INQ) {
        return -1;
    }
    int count = -1;
    std::memcpy(&count, CMSG_DATA(message), sizeof count);
    return count;
}

/// Bytes in the receive queue, without the end; or -1.
[[nodiscard]] int unread(int fd) noexcept {
    int count = 0;
    return ::ioctl(fd, SIOCINQ, &count) == 0 ? count : -1;
}

}  // namespace

stream_end end_of_stream(int fd) noexcept {
    unsigned char state = 0;  // the first member of tcp_info
    ::socklen_t length = sizeof state;
    if (::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &state, &length) != 0) {
        return stream_end::unknown;
    }
    if (state != TCP_CLOSE) {
        return stream_end::orderly;
    }
    int const on = 1;
    if (::setsockopt(fd, IPPROTO_TCP, TCP_INQ, &on, sizeof on) != 0) {
        return stream_end::unknown;
    }
    for (;;) {
        int const before = unread_with_end(fd);
        int const bytes = unread(fd);
        int const after = unread_with_end(fd);
        if (before < 0 || bytes < 0 || after < 0) {
            return stream_end::unknown;
        }
        if (before == after) {
            return after == bytes ? stream_end::none : stream_end::orderly;
        }
        // Somebody reads meanwhile. No more bytes can come, so that this ends.
    }
}

int direct_call(io_op& op) noexcept {
    int const fd = op.socket->fd();
    switch (op.kind) {
        case io_kind::accept:
            return answer_of(::accept4(fd,
                                       reinterpret_cast<::sockaddr*>(op.data),
                                       op.data != nullptr ? &op.address_length : nullptr,
                                       SOCK_CLOEXEC | SOCK_NONBLOCK));
        case io_kind::connect:
            return connect_now(op);
        case io_kind::recv:
        case io_kind::recv_exact:
            return answer_of(
                ::recv(fd, op.remaining_data(), chunk(op.remaining_length()), MSG_DONTWAIT));
        case io_kind::send_all:
            return answer_of(::send(fd,
                                    op.remaining_data(),
                                    chunk(op.remaining_length()),
                                    MSG_DONTWAIT | MSG_NOSIGNAL));
        case io_kind::recv_vec: {
            ::msghdr header = header_of(op);
            return answer_of(::recvmsg(fd, &header, MSG_DONTWAIT));
        }
        case io_kind::send_vec_all: {
            ::msghdr const header = header_of(op);
            return answer_of(::sendmsg(fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL));
        }
        case io_kind::readable: {
            ::pollfd asked{fd, POLLIN | POLLRDHUP, 0};
            int const count = ::poll(&asked, 1, 0);
            return count == 0 ? -EAGAIN : answer_of(count);
        }
        case io_kind::close:
            return answer_of(::close(fd));
    }
    return -EINVAL;
}

}  // namespace weft::detail
