#include <weft/runtime/scope/join_handle.hpp>

#include <weft/runtime/sched/make_ready.hpp>
#include <weft/runtime/sched/pass_stop.hpp>
#include <weft/runtime/values/error.hpp>

namespace weft::detail {

std::coroutine_handle<> handle_wait::begin(promise_base& waiter) noexcept {
    WEFT_CHECK(waiter_ == nullptr, "a join is awaited twice: make one for each await");
    waiter_ = &waiter;
    handle_cell& cell = child_->cell();
    if (cell.is_ended()) {
        return deliver_end();
    }
    WEFT_CHECK(waiter.context_->sched != nullptr,
               "a join of a child that has not ended needs a runtime to wait in");
    bool stopped = !enroll(&waiter.stop());
    if (!stopped) {
        switch (cell.wait(this)) {
            case handle_cell::wait_status::waiting:
                return std::noop_coroutine();
            case handle_cell::wait_status::ended:
                return deliver_end();
            case handle_cell::wait_status::refused:
                stopped = true;
                break;
        }
    }
    stopped_ = stopped;
    withdraw();  // a join may outlive the stop state it follows, as a branch of a select does
    return end_by_stop(waiter, when_stopped_);
}

/// The child has ended, before the waiter was given to its cell.
std::coroutine_handle<> handle_wait::deliver_end() noexcept {
    withdraw();
    bool const is_cut_short = child_->ended_as() == outcome::stopped;
    if ((is_cut_short || budget_is_spent()) && waiter_->stop().stop_requested()) {
        stopped_ = !is_cut_short;  // keeps S3 of promise.hpp
        return end_by_stop(*waiter_, when_stopped_);
    }
    return go_on(*waiter_);
}

void handle_wait::child_ended() noexcept {
    withdraw();
    promise_base& waiter = *waiter_;
    bool const unwinds = child_->ended_as() == outcome::stopped && waiter.stop().stop_requested() &&
                         take_stop(waiter, when_stopped_);
    make_ready(waiter, unwind_if(unwinds));
}

void handle_wait::on_stop(stop_node& node) noexcept {
    auto& self = static_cast<handle_wait&>(node);
    if (!self.child_->cell().withdraw(&self)) {
        return;  // the child's end has the waiter, or begin() will find it refused
    }
    self.withdraw();
    promise_base& waiter = *self.waiter_;
    self.stopped_ = true;
    make_ready(waiter, unwind_if(take_stop(waiter, self.when_stopped_)));
}

void handle_wait::throw_outcome() const {
    if (!stopped_ && child_->ended_as() == outcome::error) {
        child_->cell().take();
        std::rethrow_exception(child_->error());
    }
    throw operation_cancelled();
}

failure handle_wait::failure_code() const {
    if (!stopped_ && child_->ended_as() == outcome::error) {
        child_->cell().take();
        return failure(error_code_of(child_->error()));
    }
    return failure(std::errc::operation_canceled);
}

}  // namespace weft::detail
