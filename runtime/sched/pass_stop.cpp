#include <weft/runtime/sched/pass_stop.hpp>

#include <weft/runtime/sched/make_ready.hpp>

namespace weft::detail {

std::coroutine_handle<> pass_stop(promise_base& waiter) noexcept {
    worker* const here = current_worker();
    if (here == nullptr) {
        return unwind_off_worker(waiter);
    }
    make_ready_here(*here, waiter, wake_as::unwind);
    return std::noop_coroutine();
}

/// keeps S1
bool take_stop(promise_base& waiter, when_stopped policy) noexcept {
    if (policy != when_stopped::tell) {
        return policy == when_stopped::unwind;
    }
    promise_base* task = &waiter;
    while (task->completion_ == nullptr) {
        task = task->parent_;
    }
    bool const was_told = task->was_told_;
    task->was_told_ = true;
    return was_told;
}

std::coroutine_handle<> end_by_stop(promise_base& waiter, when_stopped policy) noexcept {
    return take_stop(waiter, policy) ? pass_stop(waiter) : continue_inline(waiter);
}

std::coroutine_handle<> go_on(promise_base& waiter) noexcept {
    if (spend_budget() || !give_way(waiter)) [[likely]] {
        return continue_inline(waiter);
    }
    return std::noop_coroutine();
}

bool give_way(promise_base& waiter) noexcept {
    worker* const here = current_worker();
    if (here == nullptr) {
        ready_budget = ready_budget_full;
        return false;
    }
    yield_here(*here, waiter);
    return true;
}

bool wait_a_turn(promise_base& waiter) noexcept {
    if (waiter.stop().stop_requested()) {
        pass_stop(waiter).resume();
        return true;
    }
    return give_way(waiter);
}

}  // namespace weft::detail
