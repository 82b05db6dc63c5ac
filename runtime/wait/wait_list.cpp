#include <weft/runtime/wait/wait_list.hpp>

#include <weft/runtime/sched/make_ready.hpp>
#include <weft/runtime/sched/scheduler.hpp>

#include <cstdio>

namespace weft::detail {

namespace {

[[noreturn]] WEFT_COLD void die_without_runtime(char const* operation) noexcept {
    char message[160];
    std::snprintf(message,
                  sizeof message,
                  "%s needs a runtime: await it in a task that a runtime runs",
                  operation);
    panic(__FILE__, __LINE__, "context_->sched != nullptr", message);
}

}  // namespace

bool waiter::begin(promise_base& promise) noexcept {
    if (promise.context_->sched == nullptr) [[unlikely]] {
        die_without_runtime(rules_->operation);
    }
    WEFT_ASSERT(stage_ == stage::idle, "an operation is awaited twice");
    promise_ = &promise;
    if (!enroll(&promise.stop())) {
        return end_stopped();
    }
    bool stopped = false;
    {
        wait_guard const lock(*lock_);
        stopped = stage_ == stage::stopped;  // keeps I1
        if (!stopped) {
            if (!rules_->admit(*this)) {
                stage_ = stage::listed;
                return true;  // keeps I3: the guard on our stack unlocks
            }
            stage_ = stage::granted;
        }
    }
    withdraw();
    return stopped ? end_stopped() : false;
}

/// The stop came before the wait began.
bool waiter::end_stopped() noexcept {
    stopped_ = true;
    if (!take_stop(*promise_, when_stopped_)) {
        return false;
    }
    when_stopped_ = when_stopped::unwind;
    deliver();
    return true;
}

void waiter::on_stop(stop_node& node) noexcept {
    auto& self = static_cast<waiter&>(node);
    waiter_list woken;
    {
        wait_guard const lock(*self.lock_);
        if (self.stage_ == stage::idle) {
            self.stage_ = stage::stopped;  // keeps I1: begin() ends it
            return;
        }
        if (self.stage_ != stage::listed) {
            return;  // keeps I2
        }
        self.unlink();
        self.stage_ = stage::stopped;
        self.stopped_ = true;
        if (self.rules_->leave != nullptr) {
            self.rules_->leave(self, woken);
        }
    }
    self.withdraw();  // keeps I7
    wake_all(woken);
    self.deliver();
}

void waiter::leave(waiter_list& woken) noexcept {
    if (!is_linked()) {
        return;
    }
    unlink();
    stage_ = stage::idle;
    if (rules_->leave != nullptr) {
        rules_->leave(*this, woken);
    }
}

void waiter::deliver() noexcept {
    if (rules_->deliver != nullptr) {
        rules_->deliver(*this);
    } else {
        schedule();
    }
}

void waiter::schedule() noexcept {
    if (arbiter_.self != nullptr) {
        arbiter_.wake();
        return;
    }
    make_ready(*promise_, unwind_if(stopped_ && take_stop(*promise_, when_stopped_)));
}

void waiter::transfer(wait_rules const& rules) noexcept {
    rules_ = &rules;
    stage_ = stage::listed;
}

void waiter::rearm(wait_rules const& rules) noexcept {
    rules_ = &rules;
    stage_ = stage::idle;
}

void wake_all(waiter_list& woken) noexcept {
    for (waiter* each = woken.front(); each != nullptr; each = woken.after(*each)) {
        each->withdraw();  // keeps I4
    }
    while (waiter* const each = woken.pop_front()) {
        each->deliver();
    }
}

}  // namespace weft::detail
