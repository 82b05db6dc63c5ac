#include <weft/runtime/scope/stop_on.hpp>

#include <weft/runtime/sched/make_ready.hpp>
#include <weft/runtime/sched/pass_stop.hpp>

namespace weft::detail {

foreign_stop_state::foreign_stop_state(promise_base& parent,
                                       promise_base& child,
                                       stop_state* other,
                                       when_stopped policy) noexcept
    : end_hook(&child_done)
    , stop_node(&on_other_stop)
    , context_(*parent.context_)
    , other_(other)
    , parent_(&parent)
    , child_(&child)
    , when_stopped_(policy) {
    child.context_ = &context_;
    child.parent_ = &parent;
    child.completion_ = this;
}

std::coroutine_handle<> foreign_stop_state::begin() noexcept {
    if (parent_->stop().stop_requested()) [[unlikely]] {
        child_->outcome_ = outcome::stopped;  // keeps S2 of promise.hpp
        return child_done(*this, *child_);
    }
    if (!enroll(other_)) {
        context_.own_stop.request_stop(other_->reason());
    }
    return continue_inline(*child_);
}

void foreign_stop_state::on_other_stop(stop_node& node) noexcept {
    auto& self = static_cast<foreign_stop_state&>(node);
    self.context_.own_stop.request_stop(self.other_->reason());
}

std::coroutine_handle<> foreign_stop_state::child_done(end_hook& base,
                                                       promise_base& child) noexcept {
    auto& self = static_cast<foreign_stop_state&>(base);
    self.is_child_gone_ = end_if_stopped(child);  // keeps guarded_await I2
    self.withdraw();                              // keeps I1
    promise_base& parent = *self.parent_;
    bool const is_own_stop = self.is_child_gone_ && parent.stop().stop_requested();
    return is_own_stop ? end_by_stop(parent, self.when_stopped_) : go_on(parent);
}

stop_state* soft_stop_of(promise_base& promise) noexcept {
    stop_state* const soft = promise.context_->ambient->soft_stop;
    return soft != nullptr ? soft : promise.context_->stop;
}

}  // namespace weft::detail
