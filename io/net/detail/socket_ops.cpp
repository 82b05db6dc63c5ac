#include <weft/io/net/detail/socket_ops.hpp>

#include <weft/io/net/detail/stream_end.hpp>
#include <weft/io/ring/ring_entry.hpp>
#include <weft/io/sys/sys.hpp>
#include <weft/runtime/values/error.hpp>

#include <algorithm>
#include <cerrno>
#include <new>

#include <limits.h>
#include <netinet/in.h>

namespace weft::detail {

namespace {

constexpr int accepted_flags = SOCK_CLOEXEC | SOCK_NONBLOCK;
constexpr int receive_now_flags = MSG_DONTWAIT;
constexpr int send_now_flags = MSG_DONTWAIT | MSG_NOSIGNAL;
constexpr int send_whole_flags = MSG_WAITALL | MSG_NOSIGNAL;  // a ring goes on after a short one

// --- accept -------------------------------------------------------------------------------

void prepare_accept(accept_op& op, ring_entry const& entry) noexcept {
    ::io_uring_prep_accept(
        entry.sqe, op.descriptor->fd(), op.peer_name(), &op.peer_length, accepted_flags);
}

io_attempt attempt_accept(accept_op& op) noexcept {
    return {sys::accept(op.descriptor->fd(), op.peer_name(), &op.peer_length, accepted_flags)};
}

bool take_accept(accept_op& op, io_answer answer) noexcept {
    if (answer.value < 0) {
        return op.end(answer.value);
    }
    op.accepted.reset(answer.value);  // keeps op.hpp I3
    op.note_effect();
    return op.end(0);
}

// --- connect ------------------------------------------------------------------------------

void prepare_connect(connect_op& op, ring_entry const& entry) noexcept {
    ::io_uring_prep_connect(entry.sqe, op.descriptor->fd(), op.peer->data(), op.peer->size());
}

/// The first call starts the connection, the next ones ask how it went.
io_attempt attempt_connect(connect_op& op) noexcept {
    int const fd = op.descriptor->fd();
    if (!op.is_under_way) {
        int const answer = sys::connect(fd, op.peer->data(), op.peer->size());
        if (answer != -EINPROGRESS && answer != -EINTR) {
            return {answer == -EAGAIN ? -EADDRNOTAVAIL : answer};
        }
        op.is_under_way = true;
        return {-EAGAIN};
    }
    int error = 0;
    ::socklen_t length = sizeof error;
    if (int const answer = sys::option(fd, SOL_SOCKET, SO_ERROR, &error, &length); answer != 0) {
        return {answer};
    }
    if (error != 0) {
        return {-error};
    }
    ::sockaddr_storage peer;
    length = sizeof peer;
    int const answer = sys::peer_name(fd, reinterpret_cast<::sockaddr*>(&peer), &length);
    return {answer == -ENOTCONN ? -EAGAIN : answer};
}

bool take_connect(connect_op& op, io_answer answer) noexcept {
    return op.end(answer.value);
}

// --- transfers ----------------------------------------------------------------------------

/// What is still to be asked for, of one request: the kernel transfers at most this much at once,
/// and an answer is an int.
[[nodiscard]] unsigned rest_length(transfer const& op) noexcept {
    constexpr std::size_t request_size_max = 0x7fff'f000;
    return static_cast<unsigned>(std::min(op.length - op.done, request_size_max));
}

/// The call has moved some bytes, and fewer than it was asked for.
[[nodiscard]] io_attempt attempted(int answer, unsigned asked) noexcept {
    return {answer, answer > 0 && static_cast<unsigned>(answer) < asked};
}

/// Errors that the kernel tells once: whoever asks next sees an ordinary end of the stream.
[[nodiscard]] bool breaks_connection(int error) noexcept {
    return error == ECONNRESET || error == ETIMEDOUT || error == EHOSTUNREACH ||
           error == ENETUNREACH || error == ENETDOWN;
}

/// keeps op.hpp I4: the kernel tells an error once, and an end of the stream, or EPIPE, afterwards.
/// Puts the error back in the place of such an end.
[[nodiscard]] int correct_end(descriptor_state const& stream, int answer) noexcept {
    bool const ends = answer == 0;
    int const known = stream.broken();
    if (!ends && known != 0) {
        return -known;
    }
    switch (end_of_stream(stream.fd())) {
        case stream_end::none:
            return known != 0 ? -known : -ECONNRESET;
        case stream_end::unknown:
            return known != 0 ? -known : answer;
        case stream_end::orderly:
            break;
    }
    return answer;
}

/// The bytes that the answer tells of, or -errno.
[[nodiscard]] int judge(transfer& op, io_answer answer, bool receives) noexcept {
    int value = answer.value;
    if ((value == 0 && receives) || value == -EPIPE) [[unlikely]] {
        value = correct_end(*op.descriptor, value);
    }
    if (value < 0) {
        if (breaks_connection(-value)) {
            op.descriptor->note_broken(-value);
        }
        return value;
    }
    if (receives && value > 0) {
        op.descriptor->receive_would_wait = !answer.has(io_answer::nonempty);
    }
    op.done += static_cast<std::size_t>(value);
    return value;
}

/// The operation is over, with `done` bytes.
bool end_with_bytes(transfer& op) noexcept {
    if (op.done != 0 && !op.ended_early) {
        op.note_effect();
    }
    return op.end(0);
}

void hint_at_wait(transfer const& op, ring_entry const& entry) noexcept {
    if (op.descriptor->receive_would_wait && entry.offers.has(uring_feature::poll_first)) {
        entry.sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
    }
}

void prepare_receive(transfer& op, ring_entry const& entry) noexcept {
    ::io_uring_prep_recv(entry.sqe, op.descriptor->fd(), op.data + op.done, rest_length(op), 0);
    hint_at_wait(op, entry);
}

void prepare_receive_exact(transfer& op, ring_entry const& entry) noexcept {
    ::io_uring_prep_recv(
        entry.sqe, op.descriptor->fd(), op.data + op.done, rest_length(op), MSG_WAITALL);
    hint_at_wait(op, entry);
}

io_attempt attempt_receive(transfer& op) noexcept {
    unsigned const asked = rest_length(op);
    return attempted(sys::receive(op.descriptor->fd(), op.data + op.done, asked, receive_now_flags),
                     asked);
}

bool take_received(transfer& op, io_answer answer) noexcept {
    int const count = judge(op, answer, true);
    return count < 0 ? op.end(count) : end_with_bytes(op);
}

bool take_received_exactly(transfer& op, io_answer answer) noexcept {
    int const count = judge(op, answer, true);
    if (count < 0) {
        return op.end(count);
    }
    op.ended_early = count == 0;
    return (op.ended_early || op.done == op.length) && end_with_bytes(op);
}

void prepare_send(transfer& op, ring_entry const& entry) noexcept {
    ::io_uring_prep_send(
        entry.sqe, op.descriptor->fd(), op.data + op.done, rest_length(op), send_whole_flags);
}

io_attempt attempt_send(transfer& op) noexcept {
    unsigned const asked = rest_length(op);
    return attempted(sys::send(op.descriptor->fd(), op.data + op.done, asked, send_now_flags),
                     asked);
}

bool take_sent(transfer& op, io_answer answer) noexcept {
    int const count = judge(op, answer, false);
    if (count < 0) {
        return op.end(count);
    }
    return op.done == op.length && end_with_bytes(op);
}

// --- vectored transfers -------------------------------------------------------------------

/// The header of the next request.
[[nodiscard]] ::msghdr* next_header(vectored_transfer& op) noexcept {
    static_assert(sizeof op.header == sizeof(::msghdr));
    auto* const header = new (op.header)::msghdr{};
    header->msg_iov = op.vectors;
    header->msg_iovlen = std::min(op.vector_count, unsigned{IOV_MAX});
    return header;
}

/// Drops `count` transferred bytes from the front of the vectors.
void advance(vectored_transfer& op, std::size_t count) noexcept {
    while (op.vector_count != 0 && count >= op.vectors->iov_len) {
        count -= op.vectors->iov_len;
        ++op.vectors;
        --op.vector_count;
    }
    if (count != 0) {
        op.vectors->iov_base = static_cast<unsigned char*>(op.vectors->iov_base) + count;
        op.vectors->iov_len -= count;
    }
}

void prepare_receive_vectors(vectored_transfer& op, ring_entry const& entry) noexcept {
    ::io_uring_prep_recvmsg(entry.sqe, op.descriptor->fd(), next_header(op), 0);
    hint_at_wait(op, entry);
}

io_attempt attempt_receive_vectors(vectored_transfer& op) noexcept {
    return {sys::receive_message(op.descriptor->fd(), next_header(op), receive_now_flags)};
}

bool take_received_vectors(vectored_transfer& op, io_answer answer) noexcept {
    return take_received(op, answer);
}

void prepare_send_vectors(vectored_transfer& op, ring_entry const& entry) noexcept {
    ::io_uring_prep_sendmsg(entry.sqe, op.descriptor->fd(), next_header(op), send_whole_flags);
}

io_attempt attempt_send_vectors(vectored_transfer& op) noexcept {
    return {sys::send_message(op.descriptor->fd(), next_header(op), send_now_flags)};
}

bool take_sent_vectors(vectored_transfer& op, io_answer answer) noexcept {
    int const count = judge(op, answer, false);
    if (count < 0) {
        return op.end(count);
    }
    advance(op, static_cast<std::size_t>(count));
    return op.vector_count == 0 && end_with_bytes(op);
}

}  // namespace

// --- kinds --------------------------------------------------------------------------------

constinit io_kind const accept_kind{
    .name = "accept on",
    .waits = io_wait::for_input,
    .repeats_interrupted = true,
    .prepare = for_kind<&prepare_accept>,
    .attempt = for_kind<&attempt_accept>,
    .take = for_kind<&take_accept>,
};

constinit io_kind const connect_kind{
    .name = "connect to",
    .waits = io_wait::for_output,
    .repeats_interrupted = true,
    .prepare = for_kind<&prepare_connect>,
    .attempt = for_kind<&attempt_connect>,
    .take = for_kind<&take_connect>,
};

constinit io_kind const receive_kind{
    .name = "read from",
    .waits = io_wait::for_input,
    .repeats_interrupted = true,
    .prepare = for_kind<&prepare_receive>,
    .attempt = for_kind<&attempt_receive>,
    .take = for_kind<&take_received>,
};

constinit io_kind const receive_exact_kind{
    .name = "read from",
    .waits = io_wait::for_input,
    .repeats_interrupted = true,
    .prepare = for_kind<&prepare_receive_exact>,
    .attempt = for_kind<&attempt_receive>,
    .take = for_kind<&take_received_exactly>,
};

constinit io_kind const send_kind{
    .name = "write to",
    .waits = io_wait::for_output,
    .repeats_interrupted = true,
    .prepare = for_kind<&prepare_send>,
    .attempt = for_kind<&attempt_send>,
    .take = for_kind<&take_sent>,
};

constinit io_kind const receive_vectors_kind{
    .name = "read from",
    .waits = io_wait::for_input,
    .repeats_interrupted = true,
    .prepare = for_kind<&prepare_receive_vectors>,
    .attempt = for_kind<&attempt_receive_vectors>,
    .take = for_kind<&take_received_vectors>,
};

constinit io_kind const send_vectors_kind{
    .name = "write to",
    .waits = io_wait::for_output,
    .repeats_interrupted = true,
    .prepare = for_kind<&prepare_send_vectors>,
    .attempt = for_kind<&attempt_send_vectors>,
    .take = for_kind<&take_sent_vectors>,
};

// --- for awaiters -------------------------------------------------------------------------

result<unique_fd> accept_op::take_descriptor() noexcept {
    if (auto const ended = outcome(); !ended) {
        return failure(ended.error());
    }
    return std::move(accepted);
}

result<address> accept_op::peer() const noexcept {
    static_assert(sizeof peer_name_ >= sizeof(::sockaddr_in6));
    return address::from_sockaddr(reinterpret_cast<::sockaddr const*>(peer_name_), peer_length);
}

result<std::size_t> transfer::outcome() const noexcept {
    if (auto const ended = io_op::outcome(); !ended) {
        return failure(ended.error());
    }
    if (ended_early && done < length) {
        return failure(make_error_code(errc::unexpected_eof));
    }
    return done;
}

std::size_t transfer::count_or_throw() const {
    auto const count = outcome();
    if (!count) [[unlikely]] {
        throw_io_error(count.error(), kind->name, peer_);
    }
    return *count;
}

vector_list::vector_list(vector_list&& other) noexcept
    : heap_(std::exchange(other.heap_, nullptr))
    , count_(std::exchange(other.count_, 0)) {
    std::copy_n(other.inline_, inline_count, inline_);
}

void vector_list::append(void const* data, std::size_t size) noexcept {
    if (size != 0) {
        begin()[count_++] = {const_cast<void*>(data), size};  // a send only reads
    }
}

}  // namespace weft::detail
