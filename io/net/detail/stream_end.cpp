#include <weft/io/net/detail/stream_end.hpp>

#include <weft/io/sys/sys.hpp>

#include <cstring>

#include <netinet/in.h>
#include <netinet/tcp.h>

namespace weft::detail {

namespace {

/// Bytes in the receive queue as a control message tells them, or -1. The end of the stream counts
/// as one more byte, before it was read and afterwards.
[[nodiscard]] int unread_with_end(int fd) noexcept {
    alignas(::cmsghdr) unsigned char control[CMSG_SPACE(sizeof(int))];
    ::msghdr header{};
    header.msg_control = control;
    header.msg_controllen = sizeof control;
    if (sys::receive_message(fd, &header, MSG_DONTWAIT) != 0) {
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

}  // namespace

stream_end end_of_stream(int fd) noexcept {
    unsigned char state = 0;  // the first member of tcp_info
    ::socklen_t length = sizeof state;
    if (sys::option(fd, IPPROTO_TCP, TCP_INFO, &state, &length) != 0) {
        return stream_end::unknown;
    }
    if (state != TCP_CLOSE) {
        return stream_end::orderly;
    }
    int const on = 1;
    if (sys::set_option(fd, IPPROTO_TCP, TCP_INQ, &on, sizeof on) != 0) {
        return stream_end::unknown;
    }
    for (;;) {
        int const before = unread_with_end(fd);
        int const bytes = sys::unread_bytes(fd);
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

}  // namespace weft::detail
