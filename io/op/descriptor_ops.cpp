#include <weft/io/op/descriptor_ops.hpp>

#include <weft/io/ring/ring_entry.hpp>
#include <weft/io/sys/sys.hpp>

#include <cerrno>

#include <poll.h>

namespace weft::detail {

namespace {

// --- readable -----------------------------------------------------------------------------

constexpr short input_events = POLLIN | POLLRDHUP;

void prepare_readable(readiness& op, ring_entry const& entry) noexcept {
    ::io_uring_prep_poll_add(entry.sqe, op.descriptor->fd(), input_events);
}

io_attempt attempt_readable(readiness& op) noexcept {
    ::pollfd asked{op.descriptor->fd(), input_events, 0};
    int const count = sys::poll(&asked, 1U, 0);
    return {count == 0 ? -EAGAIN : count};
}

bool take_readable(readiness& op, io_answer answer) noexcept {
    return op.end(answer.value < 0 ? answer.value
                                   : 0);  // which events they are tells the next call
}

// --- close --------------------------------------------------------------------------------

void prepare_close(close_op& op, ring_entry const& entry) noexcept {
    ::io_uring_prep_close(entry.sqe, op.fd);
}

io_attempt attempt_close(close_op& op) noexcept {
    return {sys::close(op.fd)};
}

/// Whatever close(2) says, the descriptor is gone, and its number may be reused.
bool take_close(close_op& op, io_answer answer) noexcept {
    return op.end(answer.value == -ECANCELED ? answer.value : 0);
}

}  // namespace

constinit io_kind const readable_kind{
    .name = "wait for",
    .waits = io_wait::for_input,
    .repeats_interrupted = true,
    .prepare = for_kind<&prepare_readable>,
    .attempt = for_kind<&attempt_readable>,
    .take = for_kind<&take_readable>,
};

constinit io_kind const close_kind{
    .name = "close",
    .waits = io_wait::never,
    .repeats_interrupted = false,
    .prepare = for_kind<&prepare_close>,
    .attempt = for_kind<&attempt_close>,
    .take = for_kind<&take_close>,
};

result<void> readiness::outcome() const noexcept {
    if (auto const ended = io_op::outcome(); !ended) {
        return failure(ended.error());
    }
    return {};
}

void readiness::count_or_throw() const {
    if (auto const ended = io_op::outcome(); !ended) [[unlikely]] {
        throw_io_error(ended.error(), operation_, object_);
    }
}

}  // namespace weft::detail
