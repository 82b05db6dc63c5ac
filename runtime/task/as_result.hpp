#pragma once

#include <weft/runtime/task/call.hpp>
#include <weft/runtime/task/detail/settle.hpp>
#include <weft/runtime/task/settled.hpp>
#include <weft/runtime/task/task.hpp>
#include <weft/runtime/values/result.hpp>

#include <system_error>
#include <utility>

namespace weft {

namespace detail {

/// Awaiters that can hand out their error_code themselves give their result-form awaiter by this
/// member.
template <class T>
concept has_as_result = requires(T&& value) { static_cast<T&&>(value).as_result(); };

/// The code of a std::system_error; rethrows anything else. Requires: `error` is not null.
[[nodiscard]] std::error_code error_code_of(std::exception_ptr const& error);

/// The outcome of a task that has ended with a value or an error.
template <class T>
[[nodiscard]] result<T> result_of(task_promise<T>& promise) {
    if (promise.outcome_ == outcome::error) {
        return failure(error_code_of(promise.error()));
    }
    if constexpr (std::is_void_v<T>) {
        return {};
    } else {
        return promise.take();
    }
}

/// The value, or the error's code; operation_canceled for one that was stopped.
template <class T>
[[nodiscard]] result<T> result_of(settled<T>&& ended) {
    if (ended.has_error()) {
        return failure(error_code_of(ended.error()));
    }
    if (ended.was_stopped()) {
        return failure(std::errc::operation_canceled);
    }
    if constexpr (std::is_void_v<T>) {
        return {};
    } else {
        return result<T>(std::move(ended).value());
    }
}

}  // namespace detail

/// What `co_await as_result(task)` waits in.
template <class T>
class [[nodiscard]] task_result_operation : private detail::settle_operation<T> {
    using base = detail::settle_operation<T>;

public:
    explicit task_result_operation(task<T> child) noexcept
        : base(std::move(child), detail::starts::unless_stopped, detail::when_stopped::tell) {}

    using base::await_ready;
    using base::await_suspend;

    result<T> await_resume() {
        base::await_resume();
        return detail::result_of(std::move(this->ended()));
    }
};

/// Turns an awaitable into one that yields `result<T>`: the value, or the error code. Also written
/// `op | as_result`.
///
/// Thread safety: as the awaitable's.
/// Cancellation: a stop does not unwind the awaiting coroutine here: the result holds
///     std::errc::operation_canceled. It is told once: the next await that the stop ends unwinds
///     the coroutine and those that await it plainly, also where it asks for a result, so that a
///     loop over results ends. A task that is not started yet when the stop comes does not start.
///     What must be awaited after a stop belongs into finally(), shielded() or a nursery's defer().
/// Lifetime: takes the awaitable over.
/// Resumption: as the awaitable's.
/// Complexity: operations of the library hand out their code without a throw; a task's exception is
///     caught once.
/// Errors: exceptions that are not std::system_error are rethrown: they carry no code.
/// Example: examples/timeout.cpp
inline constexpr struct as_result_fn {
    template <detail::has_as_result Operation>
    [[nodiscard]] auto operator()(Operation&& operation) const {
        return static_cast<Operation&&>(operation).as_result();
    }

    template <detail::plain_value T>
    [[nodiscard]] task_result_operation<T> operator()(task<T> child) const noexcept {
        return task_result_operation<T>(std::move(child));
    }

    template <detail::becomes_task Work>
        requires(!detail::has_as_result<Work> && detail::no_plain_task<Work>)
    [[nodiscard]] auto operator()(Work&& work) const {
        return (*this)(detail::as_task(static_cast<Work&&>(work)));
    }

    template <class Operation>
        requires requires(Operation&& op, as_result_fn self) { self(static_cast<Operation&&>(op)); }
    [[nodiscard]] friend auto operator|(Operation&& operation, as_result_fn self) {
        return self(static_cast<Operation&&>(operation));
    }
} as_result{};

}  // namespace weft
