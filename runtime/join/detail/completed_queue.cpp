#include <weft/runtime/join/detail/completed_queue.hpp>

#include <weft/runtime/sched/make_ready.hpp>
#include <weft/runtime/sched/pass_stop.hpp>
#include <weft/runtime/sched/scheduler.hpp>

#include <utility>

namespace weft::detail {

void completed_queue::push(node& ended) noexcept {
    completed_wait* taker = nullptr;
    {
        scoped_lock const lock(mutex_);
        (first_ == nullptr ? first_ : last_->next) = &ended;
        last_ = &ended;
        taker = std::exchange(taker_, nullptr);
    }
    if (taker != nullptr) {
        make_ready(*taker->promise_);
    }
}

completed_queue::node* completed_queue::take() noexcept {
    scoped_lock const lock(mutex_);
    node* const taken = first_;
    if (taken != nullptr) {
        first_ = taken->next;
        --left_;
    }
    return taken;
}

std::size_t completed_queue::left() noexcept {
    scoped_lock const lock(mutex_);
    return left_;
}

bool completed_wait::is_ready() noexcept {
    scoped_lock const lock(queue_->mutex_);
    return has_outcome();
}

completed_wait::entry completed_wait::enter() noexcept {
    scoped_lock const lock(queue_->mutex_);
    WEFT_CHECK(queue_->taker_ == nullptr,
               "two coroutines wait for the next completed task at once");
    if (has_outcome()) {
        return entry::ready;  // keeps I3
    }
    if (stopped_) {
        return entry::stopped;
    }
    queue_->taker_ = this;
    return entry::waiting;
}

std::coroutine_handle<> completed_wait::start(promise_base& taker) noexcept {
    promise_ = &taker;
    if (!enroll(&taker.stop())) {
        return !budget_is_spent() && is_ready() ? taker.handle() : pass_stop(taker);
    }
    entry const entered = enter();
    if (entered == entry::waiting) {
        return std::noop_coroutine();  // the frame may be gone already
    }
    withdraw();
    return entered == entry::stopped ? pass_stop(taker) : go_on(taker);
}

void completed_wait::on_stop(stop_node& node) noexcept {
    auto& self = static_cast<completed_wait&>(node);
    {
        scoped_lock const lock(self.queue_->mutex_);
        if (self.queue_->taker_ != &self) {
            self.stopped_ = true;
            return;
        }
        self.queue_->taker_ = nullptr;
    }
    make_ready(*self.promise_, wake_as::unwind);
}

}  // namespace weft::detail
