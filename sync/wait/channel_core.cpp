#include <weft/sync/wait/channel_core.hpp>

#include <weft/runtime/sched/make_ready.hpp>
#include <weft/runtime/sched/scheduler.hpp>
#include <weft/runtime/sched/thread_event.hpp>
#include <weft/sync/wait/select_site.hpp>

#include <cstdio>
#include <exception>
#include <system_error>
#include <utility>

namespace weft::detail {

void wake_chain::add(channel_waiter& waiter) noexcept {
    waiter.next_woken_ = nullptr;
    (last_ == nullptr ? first_ : last_->next_woken_) = &waiter;
    last_ = &waiter;
}

void wake_chain::wake_each() noexcept {
    while (first_ != nullptr) {
        channel_waiter& each = *std::exchange(first_, first_->next_woken_);
        each.wake();  // the last access to it (I3)
    }
}

bool channel_waiter::claim_site() noexcept {
    return site_->claim_in_list();
}

void channel_waiter::roll_back() noexcept {
    if (site_ != nullptr) {
        site_->roll_back();
    }
}

void channel_waiter::commit(hand_over outcome, wake_chain& woken) noexcept {
    WEFT_ASSERT(outcome_ == hand_over::pending, "a waiter is completed twice");
    outcome_ = outcome;
    unlink();
    if (site_ != nullptr) {
        site_->commit(branch_);
    }
    woken.add(*this);
}

void channel_waiter::enlist() noexcept {
    list_->push_back(*this);
}

void channel_waiter::wake() noexcept {
    if (promise_ != nullptr) {
        make_ready(*promise_);
    } else if (site_ != nullptr) {
        site_->wake();
    } else {
        thread_->signal();
    }
}

void channel_core::die_in_use(char const* kind, char const* use) noexcept {
    char message[256];
    std::snprintf(message,
                  sizeof message,
                  "%s is destroyed while somebody %s" WEFT_END_TASKS_FIRST,
                  kind,
                  use);
    panic(__FILE__, __LINE__, "nobody uses it any more", message);
}

channel_waiter* channel_core::claim_behind(intrusive_list<channel_waiter>& list) noexcept {
    for (;;) {
        list.pop_front();  // a branch of a decided select
        channel_waiter* const first = list.front();
        if (first == nullptr || first->claim()) {
            return first;
        }
    }
}

void channel_core::close_list(intrusive_list<channel_waiter>& list, wake_chain& woken) noexcept {
    while (channel_waiter* const each = claim_front(list)) {
        each->commit(hand_over::closed, woken);
    }
}

bool channel_core::close() noexcept {
    wake_chain woken;
    bool first = false;
    {
        brief_guard const guard(lock_);
        first = !std::exchange(closed_, true);
        if (first) {
            close_list(senders_, woken);
            close_list(receivers_, woken);  // keeps I1: nothing is buffered where they wait
        }
    }
    woken.wake_all();
    return first;
}

bool channel_wait::begin(promise_base& waiter) noexcept {
    WEFT_CHECK(waiter.context_->sched != nullptr, "waiting in a channel needs a runtime");
    promise_ = &waiter;
    if (!enroll(&waiter.stop())) {  // keeps I4
        return end_stopped(waiter);
    }
    wake_chain woken;
    core_->lock_.lock();
    if (stop_arrived_) {
        core_->lock_.unlock();
        return end_stopped(waiter);
    }
    if (attempt_(*this, woken)) {
        core_->lock_.unlock();
        woken.wake_all();
        return false;
    }
    enlist();
    core_->lock_.unlock();  // the last access: whoever completes us resumes the coroutine
    return true;
}

bool channel_wait::end_stopped(promise_base& waiter) noexcept {
    outcome_ = hand_over::stopped;
    if (!take_stop(waiter, when_stopped_)) {
        return false;
    }
    make_ready(waiter, wake_as::unwind);
    return true;
}

void channel_wait::on_stop(stop_node& node) noexcept {
    auto& self = static_cast<channel_wait&>(node);
    {
        brief_guard const guard(self.core_->lock_);
        if (!self.is_linked()) {
            self.stop_arrived_ = true;  // not enlisted yet; or completed, and success wins
            return;
        }
        self.unlink();
        self.outcome_ = hand_over::stopped;
    }
    promise_base& waiter = *self.promise_;
    make_ready(waiter, unwind_if(take_stop(waiter, self.when_stopped_)));  // the last access
}

hand_over channel_wait::finish() {
    forget_stop();
    if (error != nullptr) [[unlikely]] {
        std::rethrow_exception(std::move(error));
    }
    return outcome_;
}

void channel_wait::fail(std::exception_ptr thrown) noexcept {
    error = std::move(thrown);
    outcome_ = hand_over::failed;
}

void channel_wait::block() noexcept {
    thread_event completed;
    thread_ = &completed;
    wake_chain woken;
    core_->lock_.lock();
    bool const complete = attempt_(*this, woken);
    if (!complete) {
        enlist();
    }
    core_->lock_.unlock();
    woken.wake_all();
    if (!complete) {
        completed.wait();
    }
}

result<void> send_result(hand_over outcome) noexcept {
    switch (outcome) {
        case hand_over::done:
            return {};
        case hand_over::closed:
            return failure(errc::closed);
        case hand_over::stopped:
            return failure(std::errc::operation_canceled);
        default:
            return failure(std::errc::resource_unavailable_try_again);
    }
}

failure recv_failure(hand_over outcome) noexcept {
    return failure(send_result(outcome == hand_over::closed ? outcome : hand_over::full).error());
}

void throw_send_error(hand_over outcome) {
    throw std::system_error(send_result(outcome).error(), "send");
}

void require_foreign_thread() noexcept {
    WEFT_CHECK(current_worker() == nullptr, "a worker would block: await the operation instead");
}

}  // namespace weft::detail
