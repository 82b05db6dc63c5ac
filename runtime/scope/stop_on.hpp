#pragma once

/// A task that somebody else's stop ends, too.
///
/// Protocol. The child's stop state follows the surrounding one. A callback on the other token
/// passes its stop on to that state, on whatever thread requests it.
/// I1 The callback is withdrawn before the parent goes on; withdraw() waits for one that runs
///    elsewhere, so nobody refers to the state then.
/// I2 Success wins: a child that ends with a value or an error delivers it.
/// I3 A child that was stopped is destroyed at its end, before anybody goes on.
/// I4 A child that was stopped while the surrounding task was not, ended by the token.

#include <weft/runtime/sched/pass_stop.hpp>
#include <weft/runtime/task/as_result.hpp>
#include <weft/runtime/task/call.hpp>
#include <weft/runtime/task/task.hpp>
#include <weft/runtime/values/error.hpp>

#include <concepts>
#include <coroutine>
#include <new>
#include <type_traits>
#include <utility>

namespace weft {

namespace detail {

class foreign_stop_state : private completion, private stop_node {
public:
    foreign_stop_state(promise_base& parent,
                       promise_base& child,
                       stop_state* other,
                       when_stopped policy) noexcept;
    foreign_stop_state(foreign_stop_state const&) = delete;
    foreign_stop_state& operator=(foreign_stop_state const&) = delete;

    /// Gives what runs next: the child.
    [[nodiscard]] std::coroutine_handle<> begin() noexcept;

    /// After the child's end: it was stopped, and its frame is gone (I3).
    [[nodiscard]] bool is_child_gone() const noexcept { return is_child_gone_; }

private:
    static std::coroutine_handle<> child_done(completion& base, promise_base& child) noexcept;
    static void on_other_stop(stop_node& node) noexcept;

    // --- constant after construction -------------------------------------------
    stop_context context_;
    stop_state* other_;
    promise_base* parent_;
    promise_base* child_;
    when_stopped policy_;

    // --- whoever ends the child; read after its end -----------------------------------
    bool is_child_gone_ = false;
};

/// The soft stop of a coroutine's surroundings; its hard one where nobody can ask softly.
[[nodiscard]] stop_state* soft_stop_of(promise_base& promise) noexcept;

}  // namespace detail

/// What `co_await with_stop_token(token, task)` and until_soft_stop() wait in; the result form
/// gives a result<T> and hides the stop.
template <class T, bool Soft, bool ResultForm = false>
class [[nodiscard]] stop_on_operation {
public:
    stop_on_operation(stop_token token, task<T> child) noexcept
        : token_(token)
        , child_(std::move(child)) {
        WEFT_CHECK(static_cast<bool>(child_),
                   "an empty task is awaited: a task can be awaited once");
    }

    stop_on_operation(stop_on_operation const&) = delete;
    stop_on_operation& operator=(stop_on_operation const&) = delete;

    ~stop_on_operation() {
        if (begun_) {
            if (state_.is_child_gone()) {
                (void)detail::task_access::release(child_);
            }
            child_ = {};  // first: it still refers to the state
            state_.~foreign_stop_state();
        }
    }

    [[nodiscard]] bool await_ready() const noexcept { return false; }

    template <std::derived_from<detail::promise_base> Promise>
    [[nodiscard]] std::coroutine_handle<> await_suspend(
        std::coroutine_handle<Promise> parent) noexcept {
        WEFT_CHECK(!begun_, "a with_stop_token is awaited twice");
        using policy = detail::when_stopped;
        ::new (static_cast<void*>(&state_)) detail::foreign_stop_state(
            parent.promise(),
            detail::task_access::promise(child_),
            Soft ? detail::soft_stop_of(parent.promise()) : token_.state(),
            ResultForm ? policy::tell : policy::unwind);
        begun_ = true;
        return state_.begin();
    }

    std::conditional_t<ResultForm, result<T>, T> await_resume() {
        if (state_.is_child_gone()) {
            if constexpr (ResultForm) {
                return failure(std::errc::operation_canceled);
            } else {
                throw operation_cancelled();
            }
        }
        task<T> ended(std::move(child_));  // its frame goes with us
        if constexpr (ResultForm) {
            return detail::result_of(detail::task_access::promise(ended));
        } else {
            return detail::task_access::promise(ended).take();
        }
    }

    [[nodiscard]] stop_on_operation<T, Soft, true> as_result() && noexcept
        requires(!ResultForm)
    {
        return stop_on_operation<T, Soft, true>(token_, std::move(child_));
    }

private:
    stop_token token_;
    task<T> child_;

    union {
        detail::foreign_stop_state state_;
    };

    bool begun_ = false;
};

/// Runs a task that ends when a stop is requested through `token`, as well as by the stop of the
/// surrounding task. The task is always waited for.
///
/// Thread safety: awaited in any weft coroutine; the stop may be requested on any thread.
/// Cancellation: a stop of the awaiting task stops the child and unwinds the task; `as_result`
///     gives std::errc::operation_canceled for either stop.
/// Lifetime: takes the task over; the token's source must outlive the await.
/// Resumption: where the task ended.
/// Complexity: one stop callback; no allocation.
/// Errors: operation_cancelled when the token's stop ended the task; else the task's own, which may
///     be an operation_cancelled, too: a join of a child that somebody stopped throws it.
///     `token.stop_requested()` tells.
/// Example: examples/graceful_shutdown.cpp
template <detail::plain_value T>
[[nodiscard]] stop_on_operation<T, false> with_stop_token(stop_token token,
                                                          task<T> child) noexcept {
    return stop_on_operation<T, false>(token, std::move(child));
}

/// The same for whatever else can be awaited, and for a callable that gives it; see timeout.
template <detail::no_plain_task Work>
[[nodiscard]] auto with_stop_token(stop_token token, Work&& work WEFT_LIFETIMEBOUND) {
    return with_stop_token(token, detail::as_task(static_cast<Work&&>(work)));
}

/// Runs a task that ends at the soft stop already: for what should not be begun any more once a
/// server is asked to finish, as accepting connections. See with_stop_token.
template <detail::plain_value T>
[[nodiscard]] stop_on_operation<T, true> until_soft_stop(task<T> child) noexcept {
    return stop_on_operation<T, true>(stop_token(), std::move(child));
}

template <detail::no_plain_task Work>
[[nodiscard]] auto until_soft_stop(Work&& work WEFT_LIFETIMEBOUND) {
    return until_soft_stop(detail::as_task(static_cast<Work&&>(work)));
}

}  // namespace weft
