#pragma once

#include <weft/runtime/sched/scheduler.hpp>

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

    class wait_operation {
    public:
        explicit wait_operation(wake_place& place) noexcept : place_(&place) {}

        [[nodiscard]] bool await_ready() const noexcept { return false; }

        template <class Promise>
        bool await_suspend(std::coroutine_handle<Promise> waiter) const {
            return place_->admit(waiter.promise());
        }

        void await_resume() const noexcept {}

    private:
        wake_place* place_;
    };

    [[nodiscard]] wait_operation wait() noexcept { return wait_operation(*this); }

private:
    bool admit(detail::promise_base& waiter) {
        void* expected = nullptr;
        if (state_.compare_exchange_strong(expected, &waiter)) {
            return true;
        }
        state_ = nullptr;
        return false;
    }

    [[nodiscard]] void* woken() noexcept { return this; }

    std::atomic<void*> state_ = nullptr;
};

}  // namespace weft::test
