#include <weft/runtime/join/detail/completed_queue.hpp>

namespace weft::detail {

void completed_queue::push(node& ended) noexcept {
    waiter_list woken;
    {
        wait_guard const lock(lock_);
        (first_ == nullptr ? first_ : last_->next) = &ended;
        last_ = &ended;
        if (waiter* const taker = takers_.front(); taker != nullptr) {
            (void)taker->grant(woken);
        }
    }
    wake_all(woken);
}

completed_queue::node* completed_queue::take() noexcept {
    wait_guard const lock(lock_);
    node* const taken = first_;
    if (taken != nullptr) {
        first_ = taken->next;
        --left_;
    }
    return taken;
}

std::size_t completed_queue::left() noexcept {
    wait_guard const lock(lock_);
    return left_;
}

constinit wait_rules const completed_wait::rules("the next completed task", &admit);

completed_wait::completed_wait(completed_queue& queue) noexcept
    : waiter(queue.lock_, rules)
    , queue_(&queue) {}

bool completed_wait::is_ready() noexcept {
    wait_guard const lock(queue_->lock_);
    return queue_->has_outcome();
}

std::coroutine_handle<> completed_wait::start(promise_base& taker) noexcept {
    return begin(taker) ? std::noop_coroutine() : go_on(taker);
}

bool completed_wait::admit(waiter& self) noexcept {
    completed_queue& queue = *static_cast<completed_wait&>(self).queue_;
    WEFT_CHECK(queue.takers_.empty(), "two coroutines wait for the next completed task at once");
    if (queue.has_outcome()) {
        return true;
    }
    queue.takers_.push_back(self);
    return false;
}

}  // namespace weft::detail
