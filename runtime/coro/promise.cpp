#include <weft/runtime/coro/promise.hpp>

#include <weft/runtime/coro/ready_budget.hpp>

#include <utility>

namespace weft::detail {

WEFT_STATIC_TLS constinit thread_local std::uintptr_t nested_child = 0;
WEFT_STATIC_TLS constinit thread_local promise_base** unwound_next = nullptr;
WEFT_STATIC_TLS constinit thread_local std::uint32_t ready_budget = ready_budget_full;

void destroy_frame(void* frame) noexcept {
    std::coroutine_handle<>::from_address(frame).destroy();
}

std::coroutine_handle<> unwind_off_worker(promise_base& stopped) noexcept {
    if (unwound_next != nullptr) {
        *unwound_next = &stopped;
        return std::noop_coroutine();
    }
    promise_base* next = nullptr;
    unwound_next = &next;
    std::coroutine_handle<> after = unwind(stopped);
    while (next != nullptr) {
        after = unwind(*std::exchange(next, nullptr));
    }
    unwound_next = nullptr;
    return after;
}

std::coroutine_handle<> unwind(promise_base& stopped) noexcept {
    promise_base* current = &stopped;
    for (;;) {
        current->outcome_ = outcome::stopped;
        if (current->completion_ != nullptr) {
            return current->completion_->on_done(*current->completion_, *current);
        }
        promise_base* const parent = current->parent_;
        WEFT_ASSERT(parent != nullptr && current->slot_ != nullptr,
                    "a stopped coroutine has nobody to report to");
        std::coroutine_handle<> const frame = *current->slot_;
        *current->slot_ = nullptr;  // keeps I2
        frame.destroy();
        current = parent;
    }
}

std::coroutine_handle<> wake_marked(promise_base& promise) noexcept {
    if (promise.wake_as_ == wake_as::unwind) {
        return unwind(promise);
    }
    promise.wake_as_ = wake_as::resume;
    return promise.completion_->on_done(*promise.completion_, promise);
}

}  // namespace weft::detail
