#pragma once

#include <weft/runtime/scheduler.hpp>

#include <atomic>
#include <coroutine>

namespace weft::test {

/// A place where one task waits until another one wakes it; a wake that comes first is kept. Knows
/// no stop.
class wake_place {
public:
    void wake() {
        void* const waiter = state_.exchange(woken());
        if (waiter != nullptr && waiter != woken()) {
            state_ = nullptr;
            auto& promise = *static_cast<detail::promise_base*>(waiter);
            promise.context_->sched->schedule(promise);
        }
    }

    [[nodiscard]] bool await_ready() const noexcept { return false; }

    template <class Promise>
    bool await_suspend(std::coroutine_handle<Promise> handle) {
        void* expected = nullptr;
        detail::promise_base& waiter = handle.promise();
        if (state_.compare_exchange_strong(expected, &waiter)) {
            return true;
        }
        state_ = nullptr;
        return false;
    }

    void await_resume() const noexcept {}

private:
    [[nodiscard]] void* woken() noexcept { return this; }

    std::atomic<void*> state_ = nullptr;
};

}  // namespace weft::test
