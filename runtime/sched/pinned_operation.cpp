#include <weft/runtime/sched/pinned_operation.hpp>

#include <weft/runtime/sched/make_ready.hpp>

namespace weft::detail {

bool pinned_operation::begin(worker& home, promise_base& waiter) noexcept {
    WEFT_ASSERT(home_ == nullptr, "an operation is started twice");
    home_ = &home;
    waiter_ = &waiter;
    return enroll(&waiter.stop());
}

void pinned_operation::refuse() noexcept {
    WEFT_ASSERT(!is_complete_ && !posted_, "an operation is refused after it began");
    is_complete_ = true;
    stopped_ = true;
    deliver();
}

void pinned_operation::complete(bool stopped) noexcept {
    WEFT_ASSERT(current_worker() == home_, "an operation completes away from its home");
    WEFT_ASSERT(!is_complete_, "an operation completes twice");
    is_complete_ = true;
    stopped_ = stopped;
    withdraw();
    if (!posted_ || arrived_) [[likely]] {
        deliver();
    }
}

void pinned_operation::on_stop(stop_node& node) noexcept {
    auto& self = static_cast<pinned_operation&>(node);
    self.posted_ = true;
    self.run = &on_request;
    self.home_->post(self);
}

void pinned_operation::on_request(remote_request& request) noexcept {
    auto& self = static_cast<pinned_operation&>(request);
    self.arrived_ = true;
    if (self.is_complete_) {
        self.deliver();  // keeps I1: complete() left the delivery to us
    } else {
        self.cancel_(self);
    }
}

void pinned_operation::deliver() noexcept {
    bool const unwinds = stopped_ && take_stop(*waiter_, when_stopped_);
    make_ready_here(*home_, *waiter_, unwind_if(unwinds));
}

}  // namespace weft::detail
