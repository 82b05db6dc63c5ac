#include <weft/runtime/scope/shielded.hpp>

#include <weft/runtime/sched/make_ready.hpp>
#include <weft/runtime/sched/pass_stop.hpp>

namespace weft::detail {

shield_state::shield_state(promise_base& parent, promise_base& child, time_span limit) noexcept
    : end_hook(&child_done)
    , stop_node(&on_stop)
    , worker_timer(&fired)
    , context_(*parent.context_)
    , ambient_(*parent.context_->ambient)
    , home_(&require_worker("shielded"))
    , parent_(&parent)
    , child_(&child)
    , limit_(limit.nanoseconds())
    , end_(*this) {
    context_.own_stop.follow(nullptr);
    ambient_.soft_stop = nullptr;
    ambient_.deadline = no_deadline;
    context_.ambient = &ambient_;
    child.context_ = &context_;
    child.parent_ = &parent;
    child.completion_ = this;
}

std::coroutine_handle<> shield_state::begin() noexcept {
    if (!enroll(&parent_->stop())) {
        arm();
    }
    return continue_inline(*child_);
}

void shield_state::on_stop(stop_node& node) noexcept {
    auto& self = static_cast<shield_state&>(node);
    self.posted_ = true;
    self.run = &on_stop_request;
    self.home_->post(self);
}

void shield_state::arm() noexcept {
    is_armed_ = true;
    home_->add_timer(*this, time_after(home_->now(), limit_));
}

void shield_state::fired(worker_timer& timer) noexcept {
    auto& self = static_cast<shield_state&>(timer);
    self.context_.own_stop.request_stop(self.parent_->stop().reason());
}

std::coroutine_handle<> shield_state::child_done(end_hook& base, promise_base& child) noexcept {
    auto& self = static_cast<shield_state&>(base);
    self.is_child_gone_ = end_if_stopped(child);
    self.withdraw();  // keeps I2
    if (!self.posted_ && !self.is_armed_) {
        return self.is_child_gone_ ? pass_stop(*self.parent_) : go_on(*self.parent_);
    }
    if (current_worker() == self.home_) {
        self.end_at_home();
    } else {
        self.home_->post(self.end_);  // the last access: the home goes on
    }
    return std::noop_coroutine();
}

void shield_state::on_stop_request(remote_request& request) noexcept {
    auto& self = static_cast<shield_state&>(request);
    self.arrived_ = true;
    if (self.child_ended_) {
        self.end_at_home();
    } else {
        self.arm();
    }
}

void shield_state::on_end_request(remote_request& request) noexcept {
    static_cast<end_request&>(request).self->end_at_home();
}

/// keeps I1
void shield_state::end_at_home() noexcept {
    child_ended_ = true;
    if (posted_ && !arrived_) {
        return;  // the request will end it
    }
    if (is_armed_) {
        home_->cancel_timer(*this);
    }
    make_ready_here(*home_, *parent_, unwind_if(is_child_gone_));
}

}  // namespace weft::detail
