#include <weft/runtime/scope/scope.hpp>

#include <weft/runtime/sched/make_ready.hpp>
#include <weft/runtime/task/exception_group.hpp>

namespace weft::detail {

scope_core::scope_core(promise_base& owner, on_error policy, when_stopped stopped) noexcept
    : end_hook(&body_ended)
    , owner_(&owner)
    , when_stopped_(stopped)
    , group_(*owner.context_, policy)
    , nursery_(group_, extras_)
    , joined_(*this)
    , cleaned_(*this) {}

std::coroutine_handle<> scope_core::run(promise_base& body, body_sink& kept) noexcept {
    kept_ = &kept;
    body.context_ = &group_.inherited();
    body.completion_ = this;
    return continue_inline(body);
}

std::coroutine_handle<> scope_core::run_nothing() noexcept {
    body_ended_as_ = outcome::stopped;  // keeps S2 of promise.hpp
    return join_children();
}

std::coroutine_handle<> scope_core::run_failed(std::exception_ptr error) noexcept {
    early_error_ = std::move(error);
    group_.request_stop(stop_reason(stop_kind::sibling_failed));
    return join_children();
}

std::coroutine_handle<> scope_core::body_ended(end_hook& base, promise_base& body) noexcept {
    auto& self = static_cast<scope_core&>(base);
    self.body_ended_as_ = body.outcome_;
    self.kept_->keep(body);
    if (self.body_ended_as_ == outcome::error) {
        self.group_.request_stop(stop_reason(stop_kind::sibling_failed));
    } else if (self.body_ended_as_ == outcome::stopped) {
        self.group_.request_stop(self.group_.stop().reason());
    }
    return self.join_children();
}

std::coroutine_handle<> scope_core::children_ended(end_hook& base, promise_base&) noexcept {
    return static_cast<join_hook&>(base).self->clean_up();
}

std::coroutine_handle<> scope_core::join_children() noexcept {
    // While children are alive, the join is the last access: the last of them goes on.
    return group_.join(joined_, *owner_) ? std::noop_coroutine() : clean_up();
}

std::coroutine_handle<> scope_core::clean_up() noexcept {
    extras_.close();
    promise_base* const next = extras_.take_cleanup();
    if (next == nullptr) {
        return finish();
    }
    next->context_ = owner_->context_;
    next->completion_ = &cleaned_;
    return continue_inline(*next);
}

std::coroutine_handle<> scope_core::cleanup_ended(end_hook& base, promise_base& done) noexcept {
    scope_core& self = *static_cast<cleanup_hook&>(base).self;
    std::exception_ptr error = static_cast<task_promise<void>&>(done).error();
    done.handle().destroy();
    if (error != nullptr) {
        self.group_.add_error(std::move(error));
    }
    return self.clean_up();
}

std::coroutine_handle<> scope_core::finish() noexcept {
    return was_cut_short() ? end_by_stop(*owner_, when_stopped_) : go_on(*owner_);
}

bool scope_core::was_cut_short() const noexcept {
    if (body_ended_as_ == outcome::error || group_.has_errors()) {
        return false;
    }
    return (body_ended_as_ == outcome::stopped || group_.was_child_stopped()) &&
           owner_->stop().stop_requested();
}

std::exception_ptr scope_core::take_error(std::exception_ptr const& of_body) {
    if (of_body == nullptr && early_error_ == nullptr && !group_.has_errors()) [[likely]] {
        return nullptr;
    }
    error_list all;
    all.add(early_error_);
    all.add(of_body);
    group_.take_errors(all);
    return all.take();
}

}  // namespace weft::detail
