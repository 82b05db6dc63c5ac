#pragma once

/// What the policies of the resilience kit share: which errors count, what a refusal looks like,
/// and how the work comes in.
///
/// A policy is an object that many tasks use, from any worker. Its state machine is a plain class
/// that is told the time and the random numbers; around it stands a template, `run(factory)`, which
/// reads the clock of the worker and awaits the tasks that the factory gives.

#include <weft/runtime/task/task.hpp>
#include <weft/runtime/time/sleep.hpp>
#include <weft/runtime/values/error.hpp>

#include <concepts>
#include <exception>
#include <optional>
#include <system_error>
#include <type_traits>
#include <utility>

namespace weft {

/// Tells whether an error concerns a policy. Called without a lock, on the task's worker. One that
/// throws has said no.
using error_predicate = bool (*)(std::exception_ptr const&);

/// Every error but std::errc::operation_canceled, which tells that somebody was stopped.
[[nodiscard]] bool any_error(std::exception_ptr const& error);

/// Errors that may be over at the next try: a time limit, a connection that was refused, reset or
/// ended early, a host that cannot be reached, a resource that is exhausted for the moment.
[[nodiscard]] bool transient_error(std::exception_ptr const& error);

/// The code of a std::system_error; no error for anything else.
[[nodiscard]] std::error_code error_code_in(std::exception_ptr const& error) noexcept;

/// A policy did not let the work start. The code is errc::circuit_open, errc::bulkhead_full or
/// errc::rate_limited.
///
/// Thread safety: a value.
/// Cancellation: never suspends.
/// Lifetime: shares the cause.
/// Complexity: as std::system_error.
/// Errors: none.
/// Example: examples/resilient_client.cpp
class rejected : public std::system_error {
public:
    rejected(errc why, clock::duration retry_after, std::exception_ptr cause);

    /// How long it will be refused at least; zero where that is not known.
    [[nodiscard]] clock::duration retry_after() const noexcept { return retry_after_; }

    /// The error that led to the refusal, or null where there was none.
    [[nodiscard]] std::exception_ptr const& cause() const noexcept { return cause_; }

private:
    clock::duration retry_after_;
    std::exception_ptr cause_;
};

namespace detail {

template <class Predicate>
[[nodiscard]] bool concerns(Predicate& predicate, std::exception_ptr const& error) noexcept {
    try {
        return predicate(error);
    } catch (...) {
        return false;
    }
}

/// The time of the worker that runs the caller; aborts with the policy's name where there is none.
[[nodiscard]] clock::time_point policy_now(char const* policy) noexcept;

[[noreturn]] void throw_rejected(errc why,
                                 clock::duration retry_after,
                                 std::exception_ptr const& cause = nullptr);

}  // namespace detail

/// A callable that gives a task each time it is called. What it throws instead of giving one counts
/// as an error of the task.
template <class F>
concept task_factory =
    std::invocable<F&> && detail::is_task<std::invoke_result_t<F&>> && std::move_constructible<F>;

template <task_factory F>
using factory_value_t = typename std::invoke_result_t<F&>::value_type;

/// What a call yields that may be skipped: an empty optional then; false for work without a value.
template <class T>
using skippable_t = std::conditional_t<std::is_void_v<T>, bool, std::optional<T>>;

}  // namespace weft
