#pragma once

/// How one task is awaited under a guard: a limit in time, a second token, a shield against stops.
///
/// Protocol. The operation sits in the awaiting coroutine's frame and holds the task. The guard's
/// *state* is made at the await, where the surroundings are known; it gives the task a context of
/// its own, is the task's completion, and decides what runs when the task has ended.
/// I1 The task's frame refers to the state, and is destroyed before it.
/// I2 A task that was stopped has been destroyed by the state at its end: what it held is free
///    before anybody goes on. Its handle is given up then, not destroyed again.
///
/// A guard is what the user has asked for, cheap to copy:
///     using state = …;        begin(), is_child_gone()
///     static constexpr char const* awaited_twice = …;    the message for that misuse
///     void make(void* at, promise_base& parent, promise_base& child, when_stopped) const
///     static std::errc error_of(state&)         of a stop that is told: the result form
///     static void throw_stopped [[noreturn]] () the same of the plain form
/// The last two are missing where the task's stop always unwinds who awaits it; then there is no
/// result form.

#include <weft/runtime/sched/pass_stop.hpp>
#include <weft/runtime/task/as_result.hpp>
#include <weft/runtime/task/task.hpp>

#include <concepts>
#include <coroutine>
#include <new>
#include <type_traits>
#include <utility>

namespace weft::detail {

template <class Guard>
concept tells_of_stop = requires(typename Guard::state& state) { Guard::error_of(state); };

template <class T, class Guard, bool ResultForm = false>
class [[nodiscard]] guarded_await {
    using state = typename Guard::state;
    using outcome_type = std::conditional_t<ResultForm, result<T>, T>;

public:
    guarded_await(Guard const& guard, task<T> child) noexcept
        : guard_(guard)
        , child_(std::move(child)) {
        WEFT_CHECK(static_cast<bool>(child_),
                   "an empty task is awaited: a task can be awaited once");
    }

    guarded_await(guarded_await const&) = delete;
    guarded_await& operator=(guarded_await const&) = delete;

    ~guarded_await() {
        if (begun_) {
            if (state_.is_child_gone()) {
                (void)task_access::release(child_);  // keeps I2
            }
            child_ = {};  // keeps I1
            state_.~state();
        }
    }

    [[nodiscard]] bool await_ready() const noexcept { return false; }

    template <std::derived_from<promise_base> Promise>
    [[nodiscard]] std::coroutine_handle<> await_suspend(
        std::coroutine_handle<Promise> parent) noexcept {
        WEFT_CHECK(!begun_, Guard::awaited_twice);
        guard_.make(&state_,
                    parent.promise(),
                    task_access::promise(child_),
                    ResultForm ? when_stopped::tell : when_stopped::unwind);
        begun_ = true;
        return state_.begin();
    }

    outcome_type await_resume() {
        if constexpr (tells_of_stop<Guard>) {
            if (state_.is_child_gone()) {
                if constexpr (ResultForm) {
                    return failure(Guard::error_of(state_));
                } else {
                    Guard::throw_stopped();
                }
            }
        }
        task<T> ended(std::move(child_));  // its frame goes with us
        if constexpr (ResultForm) {
            return result_of(task_access::promise(ended));
        } else {
            return task_access::promise(ended).take();
        }
    }

    [[nodiscard]] guarded_await<T, Guard, true> as_result() && noexcept
        requires(!ResultForm && tells_of_stop<Guard>)
    {
        return guarded_await<T, Guard, true>(guard_, std::move(child_));
    }

private:
    Guard guard_;
    task<T> child_;

    union {
        state state_;
    };

    bool begun_ = false;
};

}  // namespace weft::detail
