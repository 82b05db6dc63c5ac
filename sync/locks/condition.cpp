#include <weft/sync/locks/condition.hpp>

#include <weft/runtime/sched/make_ready.hpp>
#include <weft/sync/wait/select_site.hpp>

namespace weft::detail {

void condition_core::notify_one() noexcept {
    waiter_list woken;
    {
        wait_guard const guard(lock_);
        if (waiter* const first = waiters_.front(); first != nullptr) {
            (void)first->grant(woken);
            static_cast<condition_wait&>(*first).notified_alone = true;
        }
    }
    wake_all(woken);
}

void condition_core::notify_all() noexcept {
    waiter_list woken;
    {
        wait_guard const guard(lock_);
        while (waiter* const first = waiters_.front()) {
            (void)first->grant(woken);
        }
    }
    wake_all(woken);
}

namespace {

condition_wait& as_condition(waiter& self) noexcept {
    return static_cast<condition_wait&>(self);
}

bool enlist(waiter& self) noexcept {
    as_condition(self).target->enlist(self);
    return false;
}

/// Who waits for the mutex again cannot be stopped, and is not begun.
constexpr wait_rules relock_rules("condition_variable::wait", nullptr);

/// The same for a select.
constexpr wait_rules take_back_rules("select", nullptr, nullptr, [](waiter& self) noexcept {
    as_condition(self).select->took_back();
});

}  // namespace

constinit wait_rules const condition_wait::rules("condition_variable::wait",
                                                 &enlist,
                                                 nullptr,
                                                 &condition_wait::relock);

condition_wait::condition_wait(condition_request const& request) noexcept
    : condition_wait(request, relock_rules) {}

condition_wait::condition_wait(condition_request const& request, wait_rules const& on_lock) noexcept
    : waiter(request.target->queue_lock(), rules)
    , target(request.target)
    , mutex(request.mutex)
    , select(request.select)
    , on_lock_(&on_lock) {}

bool condition_wait::begin(promise_base& promise) noexcept {
    mutex_core& held = *mutex;
    has_mutex = false;  // the wait may be over before waiter::begin() returns
    if (!waiter::begin(promise)) {
        has_mutex = true;
        return false;
    }
    held.unlock();  // keeps I1; the waiter and its frame may be gone afterwards (I3)
    return true;
}

void condition_wait::lose(bool notified) noexcept {
    if (has_mutex) {
        has_mutex = false;
        mutex->unlock();  // keeps I4
    }
    if (notified && notified_alone) {
        target->notify_one();
    }
}

bool condition_wait::take_back() noexcept {
    if (has_mutex) {
        return true;
    }
    has_mutex = true;
    wait_guard const guard(mutex->queue_lock());
    transfer(take_back_rules);
    return mutex->lock_or_enlist(*this);
}

/// The wait is over, one way or the other: the mutex is wanted again, at once or by the select.
void condition_wait::relock(waiter& self) noexcept {
    condition_wait& wait = as_condition(self);
    if (wait.select != nullptr && (self.was_stopped() || wait.on_lock_ == &relock_rules)) {
        self.schedule();  // keeps I4
        return;
    }
    mutex_core& wanted = *wait.mutex;
    {
        wait_guard const guard(wanted.queue_lock());
        self.transfer(*wait.on_lock_);
        if (!wanted.lock_or_enlist(self)) {
            return;
        }
    }
    self.deliver();
}

constinit wait_rules const predicate_wait::on_lock("condition_variable::wait",
                                                   nullptr,
                                                   nullptr,
                                                   &predicate_wait::locked);

predicate_wait::predicate_wait(condition_request const& request, ask_function ask) noexcept
    : condition_wait(request, on_lock)
    , queued_call(&look)
    , ask_(ask) {}

void predicate_wait::locked(waiter& self) noexcept {
    auto& wait = static_cast<predicate_wait&>(as_condition(self));
    if (wait.was_stopped()) {
        wait.waiter::schedule();
    } else {
        wait.queued_call::schedule(*wait.promise().context_);
    }
}

/// On a worker, with the mutex held.
std::coroutine_handle<> predicate_wait::look(queued_call& self) noexcept {
    auto& wait = static_cast<predicate_wait&>(self);
    promise_base& promise = wait.promise();
    wait.has_mutex = true;
    try {
        if (wait.ask_(wait)) {
            return continue_inline(promise);
        }
    } catch (...) {
        wait.error_ = std::current_exception();
        return continue_inline(promise);
    }
    wait.rearm(condition_wait::rules);
    wait.notified_alone = false;
    return wait.begin(promise) ? std::noop_coroutine() : continue_inline(promise);
}

}  // namespace weft::detail
