#include <weft/io/op/op.hpp>

#include <weft/runtime/coro/ready_budget.hpp>
#include <weft/runtime/sched/scheduler.hpp>
#include <weft/runtime/values/error.hpp>

#include <cerrno>

namespace weft::detail {

namespace {

/// A call that does not wait is hardly ever interrupted twice: a kernel that says so for ever is
/// not asked for ever.
constexpr std::uint8_t interruptions_max = 100;

}  // namespace

/// False when the descriptor is closing.
bool io_op::enter() noexcept {
    if (descriptor == nullptr) {
        return true;
    }
    entered_ = descriptor->enter();
    if (!entered_) {
        answer_ = -ECANCELED;
        refused_ = true;
    }
    return entered_;
}

void io_op::leave() noexcept {
    if (entered_) {
        entered_ = false;
        descriptor->leave();
    }
}

bool io_op::start(promise_base& waiter) noexcept {
    worker& home = require_worker("I/O");
    io_backend* const backend = home.io();
    if (backend == nullptr) [[unlikely]] {
        home.sched().check_process();
        WEFT_UNREACHABLE("I/O needs weft::runtime: a thread_pool only computes");
    }
    if (!enter()) {
        return false;
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
    if (!enter()) {
        return true;
    }
    for (;;) {
        io_attempt tried = kind->attempt(*this);
        if (tried.value == -EAGAIN && waited) {
            tried.value = waited.category() == std::system_category() ? -waited.value() : -EIO;
        }
        if (tried.value == -EAGAIN) {
            leave();
            return false;
        }
        if (absorb(tried.answer())) {
            note_if_closing();
            return true;
        }
    }
}

bool io_op::absorb(io_answer answer) noexcept {
    WEFT_ASSERT(!is_over, "an operation that is over gets an answer");
    if (answer.value == -EINTR && kind->repeats_interrupted) {
        if (cancel_wanted) {
            answer.value = -ECANCELED;
        } else if (interruptions < interruptions_max) {
            ++interruptions;
            return false;
        }
    }
    interruptions = 0;
    is_over = kind->take(*this, answer);
    if (!is_over && cancel_wanted && !answer.has(io_answer::more)) {
        is_over = end(-ECANCELED);  // part of it happened; the rest is not asked for
    }
    WEFT_ASSERT(!is_over || !answer.has(io_answer::more),
                "an operation ends before its last answer");
    return is_over;
}

void io_op::finish() noexcept {
    WEFT_ASSERT(is_over && in_kernel == 0, "an operation finishes while the kernel has it");
    note_if_closing();
    complete(answer_ == -ECANCELED && cancel_wanted && !refused_);  // keeps I2
}

/// After the last answer: an operation without effect on a descriptor that is closing reports
/// errc::closed.
void io_op::note_if_closing() noexcept {
    bool const nothing_done = answer_ < 0 || !has_effect_;
    if (entered_ && nothing_done && answer_ != -ECANCELED && descriptor->is_closing()) {
        refused_ = true;  // keeps descriptor_state I2
    }
}

result<std::size_t> io_op::outcome() const noexcept {
    if (refused_) {
        return failure(make_error_code(errc::closed));
    }
    if (answer_ < 0) {
        return failure(std::error_code(-answer_, std::system_category()));
    }
    return static_cast<std::size_t>(answer_);
}

void io_op::on_cancel(pinned_operation& base) noexcept {
    auto& self = static_cast<io_op&>(base);
    self.cancel_wanted = true;
    self.home().io()->cancel(self);
}

}  // namespace weft::detail
