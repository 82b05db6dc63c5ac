#include <weft/runtime/timeout.hpp>

#include <weft/runtime/scope.hpp>

#include <system_error>

namespace weft::detail {

timeout_state::timeout_state(promise_base& parent,
                             promise_base& child,
                             clock::duration limit,
                             bool hide_stop) noexcept
    : completion(&child_done)
    , worker_timer(&fired)
    , remote_request(&on_request)
    , hide_stop_(hide_stop)
    , context_(*parent.context_)
    , home_(&require_worker("timeout"))
    , parent_(&parent)
    , child_(&child)
    , deadline_(home_->now() + to_nanoseconds(limit)) {
    child.context_ = &context_;
    child.parent_ = &parent;
    child.completion_ = this;
}

std::coroutine_handle<> timeout_state::begin() noexcept {
    home_->add_timer(*this, deadline_);
    return child_->handle();
}

void timeout_state::fired(worker_timer& timer) noexcept {
    auto& self = static_cast<timeout_state&>(timer);
    self.expired_ = true;
    self.context_.own_stop.request_stop();
}

bool timeout_state::ended_by_limit() noexcept {
    return child_->outcome_ == outcome::stopped && expired_ && !parent_->stop().stop_requested();
}

bool timeout_state::passes_stop_on() noexcept {
    return child_->outcome_ == outcome::stopped && !hide_stop_ && !ended_by_limit();
}

std::coroutine_handle<> timeout_state::child_done(completion& base, promise_base&) noexcept {
    auto& self = static_cast<timeout_state&>(base);
    if (current_worker() != self.home_) {
        self.home_->post(self);  // the last access: the home goes on
        return std::noop_coroutine();
    }
    self.home_->cancel_timer(self);
    return self.passes_stop_on() ? pass_stop(*self.parent_) : self.parent_->handle();
}

void timeout_state::on_request(remote_request& request) noexcept {
    auto& self = static_cast<timeout_state&>(request);
    self.home_->cancel_timer(self);
    promise_base& parent = *self.parent_;
    parent.stop_marked_ = self.passes_stop_on();
    self.home_->push_ready(parent);
}

void throw_timed_out() {
    throw std::system_error(std::make_error_code(std::errc::timed_out), "timeout");
}

}  // namespace weft::detail
