#include <weft/sync/locks/once.hpp>

#include <weft/runtime/sched/make_ready.hpp>
#include <weft/runtime/sched/pass_stop.hpp>

namespace weft::detail {

once_core::~once_core() {
    WEFT_CHECK(waiters_.empty(),
               "a once or lazy is destroyed while tasks wait for it" WEFT_END_TASKS_FIRST);
}

bool once_core::start_or_enlist(once_wait& wait) noexcept {
    // acquire: observe what a run has made; pairs with finish():publish
    std::uint32_t word = word_.load(acquire);
    for (;;) {
        if (word == done) {
            return true;
        }
        if (word == contended) {
            break;
        }
        // acquire: claim the run, or send its caller to the list, which lock_ orders; observe what
        // an earlier run left; pairs with finish():publish. The loser (acquire: observe) looks
        // again.
        if (word_.compare_exchange_weak(
                word, word == open ? running : contended, acquire, acquire)) {
            if (word == open) {
                wait.runs_ = true;
                return true;
            }
            break;
        }
    }
    waiters_.push_back(wait);
    return false;
}

void once_core::waiter_left() noexcept {
    if (waiters_.empty()) {
        // relaxed: own — a contended word changes under lock_ only
        word_.store(running, relaxed);
    }
}

void once_core::finish(bool succeeded) noexcept {
    waiter_list woken;
    std::uint32_t expected = running;
    // release: publish what the run has made (I2); pairs with is_done():observe and
    // try_start():claim. The loser (relaxed: hint) finds others waiting, or that the last of them
    // has left.
    while (!word_.compare_exchange_strong(expected, succeeded ? done : open, release, relaxed)) {
        if (pass_on(succeeded, woken)) {
            wake_all(woken);
            return;
        }
        expected = running;
    }
}

/// False when nobody waits any more.
bool once_core::pass_on(bool succeeded, waiter_list& woken) noexcept {
    wait_guard const guard(lock_);
    waiter* first = waiters_.front();
    if (first == nullptr) {
        return false;
    }
    if (!succeeded) {
        static_cast<once_wait&>(*first).runs_ = true;
        (void)first->grant(woken);
        waiter_left();
        return true;
    }
    for (; first != nullptr; first = waiters_.front()) {
        (void)first->grant(woken);
    }
    // release: publish what the run has made; pairs with is_done():observe
    word_.store(done, release);
    return true;
}

constinit wait_rules const once_wait::rules(
    "once::call",
    [](waiter& self) noexcept {
        auto& wait = static_cast<once_wait&>(self);
        return wait.core_->start_or_enlist(wait);
    },
    [](waiter& self, waiter_list&) noexcept { static_cast<once_wait&>(self).core_->waiter_left(); },
    &once_wait::turn);

once_wait::once_wait(once_core& core, body_maker make, outcome_keeper keep) noexcept
    : waiter(core.queue_lock(), rules)
    , queued_call(&on_turn)
    , core_(&core)
    , make_(make)
    , keep_(keep)
    , hook_(*this) {}

once_wait::~once_wait() {
    if (runs_) {
        core_->finish(false);  // it was its turn, and it never began
    }
}

std::coroutine_handle<> once_wait::start(promise_base& caller) noexcept {
    caller_ = &caller;
    if (caller.stop().stop_requested()) [[unlikely]] {
        body_stopped_ = true;  // keeps S2 of promise.hpp
        return end_by_stop(caller, policy());
    }
    if (core_->try_start()) {
        return run_body();
    }
    if (begin(caller)) {
        return std::noop_coroutine();
    }
    return runs_ ? run_body() : continue_inline(caller);
}

/// The wait for another caller is over.
void once_wait::turn(waiter& self) noexcept {
    auto& wait = static_cast<once_wait&>(self);
    if (wait.runs_) {
        wait.queued_call::schedule(*wait.caller_->context_);
    } else {
        wait.waiter::schedule();
    }
}

std::coroutine_handle<> once_wait::on_turn(queued_call& self) noexcept {
    return static_cast<once_wait&>(self).run_body();
}

std::coroutine_handle<> once_wait::run_body() noexcept {
    runs_ = false;
    try {
        promise_base& body = make_(*this);
        body.context_ = caller_->context_;
        body.parent_ = caller_;
        body.completion_ = &hook_;
        return continue_inline(body);
    } catch (...) {
        error_ = std::current_exception();
    }
    core_->finish(false);
    return continue_inline(*caller_);
}

std::coroutine_handle<> once_wait::body_done(detail::end_hook& hook, promise_base& body) noexcept {
    once_wait& self = *static_cast<body_hook&>(hook).self;
    self.body_stopped_ = body.outcome_ == outcome::stopped;
    try {
        self.keep_(self, body);
    } catch (...) {
        self.fail(std::current_exception());
    }
    self.core_->finish(!self.body_stopped_ && self.error_ == nullptr);
    promise_base& caller = *self.caller_;
    return self.body_stopped_ ? end_by_stop(caller, self.policy()) : go_on(caller);
}

}  // namespace weft::detail
