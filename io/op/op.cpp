#include <weft/io/op/op.hpp>

#include <weft/io/op/direct_call.hpp>
#include <weft/runtime/coro/ready_budget.hpp>
#include <weft/runtime/sched/scheduler.hpp>
#include <weft/runtime/values/error.hpp>

#include <cerrno>
#include <system_error>

#include <sys/uio.h>
#include <unistd.h>

namespace weft::detail {

namespace {

/// Drops `count` transferred bytes from the front of the vectors.
void advance(iovec*& vectors, unsigned& vector_count, std::size_t count) noexcept {
    while (vector_count != 0 && count >= vectors->iov_len) {
        count -= vectors->iov_len;
        ++vectors;
        --vector_count;
    }
    if (count != 0) {
        vectors->iov_base = static_cast<unsigned char*>(vectors->iov_base) + count;
        vectors->iov_len -= count;
    }
}

/// A call that does not wait is hardly ever interrupted twice: a kernel that says so for ever is
/// not asked for ever.
constexpr std::uint8_t interruptions_max = 100;

[[nodiscard]] bool is_receive(io_kind kind) noexcept {
    return kind == io_kind::recv || kind == io_kind::recv_exact || kind == io_kind::recv_vec;
}

/// Errors that the kernel tells once: whoever asks next sees an ordinary end of the stream.
[[nodiscard]] bool breaks_connection(int error) noexcept {
    return error == ECONNRESET || error == ETIMEDOUT || error == EHOSTUNREACH ||
           error == ENETUNREACH || error == ENETDOWN;
}

}  // namespace

io_op::~io_op() {
    leave();
    if (holds_descriptor_) {
        ::close(answer_);  // keeps I3
    }
}

bool io_op::start(promise_base& waiter) noexcept {
    worker& home = require_worker("I/O");
    io_backend* const backend = home.io();
    if (backend == nullptr) [[unlikely]] {
        home.sched().check_process();
        WEFT_UNREACHABLE("I/O needs weft::runtime: a thread_pool only computes");
    }
    if (kind != io_kind::close) {
        if (!socket->enter()) {
            answer_ = -ECANCELED;
            refused_ = true;
            return false;
        }
        entered_ = true;
    }
    if (!waiter.stop().stop_requested() && spend_budget() && backend->try_now(*this)) {
        note_if_closing();
        return false;
    }
    if (begin(home, waiter)) {
        backend->start(*this);
    } else {
        answer_ = -ECANCELED;
        refuse();
    }
    return true;
}

bool io_op::try_complete(std::error_code waited) noexcept {
    if (!socket->enter()) {
        answer_ = -ECANCELED;
        refused_ = true;
        return true;
    }
    entered_ = true;
    for (;;) {
        int answer = direct_call(*this);
        if (answer == -EAGAIN && waited) {
            answer = waited.category() == std::system_category() ? -waited.value() : -EIO;
        }
        if (answer == -EAGAIN) {
            leave();
            return false;
        }
        if (absorb(answer)) {
            note_if_closing();
            return true;
        }
    }
}

bool io_op::absorb(int answer) noexcept {
    WEFT_ASSERT(!is_over, "an operation that is over gets an answer");
    if (kind == io_kind::close && answer != -ECANCELED) {
        answer = 0;  // whatever close(2) says, the descriptor is gone, and its number may be reused
    }
    if (answer == -EINTR && !cancel_wanted && interruptions < interruptions_max) {
        ++interruptions;
        return false;
    }
    interruptions = 0;
    answer = correct_end(answer);
    if (answer < 0) {
        answer_ = answer;
        if (breaks_connection(-answer)) {
            socket->note_broken(-answer);
        }
        return is_over = true;
    }
    auto const count = static_cast<std::size_t>(answer);
    switch (kind) {
        case io_kind::accept:
            holds_descriptor_ = true;
            [[fallthrough]];
        case io_kind::connect:
        case io_kind::close:
            answer_ = answer;
            return is_over = true;
        case io_kind::readable:
            return is_over = true;
        case io_kind::recv:
        case io_kind::recv_vec:
            done = count;
            return is_over = true;
        case io_kind::recv_exact:
            done += count;
            at_end_ = count == 0;
            is_over = at_end_ || done == length;
            break;
        case io_kind::send_all:
            done += count;
            is_over = done == length;
            break;
        case io_kind::send_vec_all:
            done += count;
            advance(vectors, vector_count, count);
            is_over = vector_count == 0;
            break;
    }
    if (!is_over && cancel_wanted) {
        answer_ = -ECANCELED;  // part of the transfer happened; the rest is not asked for
        is_over = true;
    }
    return is_over;
}

/// keeps I4: the kernel tells an error once, and an end of the stream afterwards. Puts the error
/// back in the place of such an end.
int io_op::correct_end(int answer) const noexcept {
    bool const ends = answer == 0 && is_receive(kind);
    if (!ends && answer != -EPIPE) [[likely]] {
        return answer;
    }
    int const known = socket->broken();
    if (!ends && known != 0) {
        return -known;
    }
    switch (end_of_stream(socket->fd())) {
        case stream_end::none:
            return known != 0 ? -known : -ECONNRESET;
        case stream_end::unknown:
            return known != 0 ? -known : answer;
        case stream_end::orderly:
            break;
    }
    return answer;
}

void io_op::finish() noexcept {
    WEFT_ASSERT(is_over && in_kernel == 0, "an operation finishes while the kernel has it");
    note_if_closing();
    complete(answer_ == -ECANCELED && cancel_wanted && !refused_);  // keeps I2
}

/// After the last answer: an operation without effect on a socket that is closing reports
/// errc::closed.
void io_op::note_if_closing() noexcept {
    bool const nothing_done =
        answer_ < 0 || at_end_ || (answer_ == 0 && done == 0 && !holds_descriptor_);
    if (entered_ && nothing_done && answer_ != -ECANCELED && socket->is_closing()) {
        refused_ = true;  // keeps socket_state I2
    }
}

void io_op::leave() noexcept {
    if (entered_) {
        entered_ = false;
        socket->leave();
    }
}

result<std::size_t> io_op::outcome() const noexcept {
    if (refused_) {
        return failure(make_error_code(errc::closed));
    }
    if (answer_ < 0) {
        return failure(std::error_code(-answer_, std::system_category()));
    }
    if (at_end_ && done < length) {
        return failure(make_error_code(errc::unexpected_eof));
    }
    return done;
}

result<unique_fd> io_op::take_descriptor() noexcept {
    if (auto const ended = outcome(); !ended.has_value()) {
        return failure(ended.error());
    }
    holds_descriptor_ = false;
    return unique_fd(answer_);
}

void io_op::on_cancel(pinned_operation& base) noexcept {
    auto& self = static_cast<io_op&>(base);
    self.cancel_wanted = true;
    self.home().io()->cancel(self);
}

}  // namespace weft::detail
