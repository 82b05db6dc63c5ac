#include <weft/runtime/time/timeout.hpp>

#include <weft/runtime/sched/make_ready.hpp>
#include <weft/runtime/sched/pass_stop.hpp>

#include <system_error>

namespace weft::detail {

timeout_state::timeout_state(promise_base& parent,
                             promise_base& child,
                             deadline_request limit,
                             stop_from follows,
                             when_stopped policy) noexcept
    : end_hook(&child_done)
    , worker_timer(&fired)
    , remote_request(&on_request)
    , context_(*parent.context_)
    , ambient_(*parent.context_->ambient)
    , home_(&require_worker("timeout"))
    , parent_(&parent)
    , child_(&child)
    , asked_at_(limit.asked_at)
    , follows_(follows)
    , when_stopped_(policy) {
    if (follows == stop_from::nobody) {
        context_.own_stop.follow(nullptr);
        ambient_.soft_stop = nullptr;
        ambient_.deadline = no_deadline;
    }
    nanoseconds_u64 const now = home_->now();
    nanoseconds_u64 const deadline = time_after(limit.relative ? now : 0, limit.time.nanoseconds());
    bool const narrows = deadline < ambient_.deadline && deadline < end_of_time;
    if (narrows) {
        ambient_.deadline = deadline;
    }
    has_timer_ = narrows && deadline > now;
    if (narrows && !has_timer_) {
        expire();
    }
    context_.ambient = &ambient_;
    child.context_ = &context_;
    child.parent_ = &parent;
    child.completion_ = this;
}

std::coroutine_handle<> timeout_state::begin() noexcept {
    if (follows_ == stop_from::parent && parent_->stop().stop_requested()) [[unlikely]] {
        has_timer_ = false;
        child_->outcome_ = outcome::stopped;  // keeps S2 of promise.hpp
        return child_done(*this, *child_);
    }
    if (has_timer_) {
        home_->add_timer(*this, ambient_.deadline);
    }
    return continue_inline(*child_);
}

void timeout_state::fired(worker_timer& timer) noexcept {
    static_cast<timeout_state&>(timer).expire();
}

void timeout_state::expire() noexcept {
    expired_ = true;
    context_.own_stop.request_stop(stop_reason(stop_kind::deadline, asked_at_));
}

bool timeout_state::ended_by_limit() noexcept {
    return is_child_gone_ && expired_ &&
           (follows_ == stop_from::nobody || !parent_->stop().stop_requested());
}

bool timeout_state::passes_stop_on() noexcept {
    return is_child_gone_ && !ended_by_limit() && take_stop(*parent_, when_stopped_);
}

std::coroutine_handle<> timeout_state::child_done(end_hook& base, promise_base& child) noexcept {
    auto& self = static_cast<timeout_state&>(base);
    self.is_child_gone_ = end_if_stopped(child);  // keeps guarded_await I2
    if (self.has_timer_) {
        if (current_worker() != self.home_) {
            self.home_->post(self);  // the last access: the home goes on
            return std::noop_coroutine();
        }
        self.home_->cancel_timer(self);
    }
    return self.passes_stop_on() ? pass_stop(*self.parent_) : go_on(*self.parent_);
}

void timeout_state::on_request(remote_request& request) noexcept {
    auto& self = static_cast<timeout_state&>(request);
    self.home_->cancel_timer(self);
    make_ready_here(*self.home_, *self.parent_, unwind_if(self.passes_stop_on()));
}

void timeout_guard::throw_stopped() {
    throw std::system_error(std::make_error_code(std::errc::timed_out), "timeout");
}

}  // namespace weft::detail
