#pragma once

/// A task's outcome, kept.

#include <weft/runtime/sched/pass_stop.hpp>
#include <weft/runtime/task/settled.hpp>
#include <weft/runtime/task/task.hpp>

#include <concepts>
#include <coroutine>
#include <exception>
#include <utility>

namespace weft::detail {

/// Whether an operation starts its task when the awaiting one is stopped already.
enum class starts : bool { unless_stopped, always };

/// Awaits a task, and neither throws its error nor passes its stop on; both can be had afterwards.
/// Lives in the frame of the awaiting coroutine and is awaited as an lvalue.
///
/// What the child had is gone when its awaiter goes on, however it ended.
template <class T>
class settle_operation : private end_hook {
public:
    explicit settle_operation(task<T> child,
                              starts when = starts::unless_stopped,
                              when_stopped policy = when_stopped::resume) noexcept
        : end_hook(&child_done)
        , child_(std::move(child))
        , starts_(when)
        , when_stopped_(policy) {
        WEFT_CHECK(static_cast<bool>(child_),
                   "an empty task is awaited: a task can be awaited once");
    }

    settle_operation(settle_operation const&) = delete;
    settle_operation& operator=(settle_operation const&) = delete;

    [[nodiscard]] bool await_ready() const noexcept { return false; }

    template <std::derived_from<promise_base> Promise>
    [[nodiscard]] std::coroutine_handle<> await_suspend(
        std::coroutine_handle<Promise> parent) noexcept {
        WEFT_ASSERT(child_ && task_access::promise(child_).outcome_ == outcome::pending,
                    "a task is awaited twice");
        auto& promise = task_access::promise(child_);
        promise.context_ = parent.promise().context_;
        promise.parent_ = &parent.promise();
        promise.completion_ = this;
        if (starts_ == starts::unless_stopped && parent.promise().stop().stop_requested())
            [[unlikely]] {
            promise.outcome_ = outcome::stopped;  // keeps S2 of promise.hpp
            return child_done(*this, promise);
        }
        return promise.handle();
    }

    void await_resume() const noexcept {}

    // --- after the await --------------------------------------------------------

    [[nodiscard]] bool was_stopped() const noexcept { return ended_.was_stopped(); }

    /// The error, or null.
    [[nodiscard]] std::exception_ptr error() const noexcept { return ended_.error(); }

    /// Requires: not stopped. The value, or throws the error.
    T take() { return std::move(ended_).value(); }

protected:
    /// Without a task, until watch().
    settle_operation() noexcept : end_hook(&child_done) {}

    void watch(task<T> child) noexcept {
        WEFT_CHECK(static_cast<bool>(child), "a factory gives an empty task");
        child_ = std::move(child);
    }

    [[nodiscard]] settled<T>& ended() noexcept { return ended_; }

private:
    static std::coroutine_handle<> child_done(end_hook& base, promise_base& child) noexcept {
        auto& self = static_cast<settle_operation&>(base);
        promise_base& parent = *child.parent_;
        settled_access::move_outcome(static_cast<task_promise<T>&>(child), self.ended_);
        self.child_ = task<T>();
        return self.was_stopped() ? end_by_stop(parent, self.when_stopped_) : go_on(parent);
    }

    task<T> child_;
    settled<T> ended_;
    starts starts_ = starts::unless_stopped;
    when_stopped when_stopped_ = when_stopped::resume;
};

/// Ends the awaiting coroutine as stopped: for code that has held a stop back and lets it go on
/// now.
class [[nodiscard]] end_as_stopped {
public:
    [[nodiscard]] bool await_ready() const noexcept { return false; }

    template <std::derived_from<promise_base> Promise>
    [[nodiscard]] std::coroutine_handle<> await_suspend(
        std::coroutine_handle<Promise> coroutine) const noexcept {
        return pass_stop(coroutine.promise());
    }

    void await_resume() const noexcept {}
};

}  // namespace weft::detail
