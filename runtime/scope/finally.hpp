#pragma once

#include <weft/runtime/task/call.hpp>
#include <weft/runtime/task/detail/settle.hpp>
#include <weft/runtime/task/task.hpp>
#include <weft/runtime/time/timeout.hpp>

#include <chrono>
#include <concepts>
#include <exception>
#include <source_location>
#include <type_traits>
#include <utility>

namespace weft {

/// How long a clean-up may take where nothing else is said.
inline constexpr time_span default_cleanup_limit = std::chrono::seconds(10);

namespace detail {

/// Runs a clean-up, which no stop reaches but that of its own limit.
[[nodiscard]] task<> clean_up(time_span limit, task<> work, std::source_location asked_at);

/// Throws the one that is not null; both in a group.
void rethrow_errors(std::exception_ptr body, std::exception_ptr cleanup);

}  // namespace detail

/// Runs `body`, then `cleanup`, for at most `limit`, whatever became of the body: value, error or
/// stopped. Then the outcome of the body goes on.
///
/// Thread safety: awaited in a task that a runtime runs.
/// Cancellation: a stop of the awaiting task stops the body, which begins on a stopped task, too:
///     it may hold clean-ups of its own. The stop does not reach the clean-up, which has a deadline
///     of its own instead: `limit` from its start. Afterwards the stop goes on.
/// Lifetime: takes both tasks over; what they refer to must outlive the await. The clean-up does
///     not run if the task that finally() gives is never awaited.
/// Resumption: where the clean-up ended.
/// Complexity: two frames besides the two tasks'; one timer.
/// Errors: the body's; the clean-up's, with std::errc::timed_out if it took too long; an
///     exception_group if both failed. An error of the clean-up wins over a stop of the body.
/// Example: examples/graceful_shutdown.cpp
template <detail::plain_value T>
[[nodiscard]] task<T> finally(task<T> body,
                              time_span limit,
                              task<> cleanup,
                              std::source_location asked_at = std::source_location::current()) {
    detail::settle_operation<T> ended(std::move(body), detail::starts::always);
    // Made before the body runs: nothing can keep it from running afterwards.
    detail::settle_operation<void> cleaned(detail::clean_up(limit, std::move(cleanup), asked_at),
                                           detail::starts::always);
    co_await ended;
    co_await cleaned;
    detail::rethrow_errors(ended.error(), cleaned.error());
    if (ended.was_stopped()) {
        co_await detail::end_as_stopped();
    }
    co_return ended.take();
}

/// The same with default_cleanup_limit.
template <detail::plain_value T>
[[nodiscard]] task<T> finally(task<T> body,
                              task<> cleanup,
                              std::source_location asked_at = std::source_location::current()) {
    return finally(std::move(body), default_cleanup_limit, std::move(cleanup), asked_at);
}

/// The same for whatever else can be awaited, and for callables that give it, the clean-up when its
/// time has come; see timeout. The clean-up's value is dropped.
template <class Body, class Cleanup>
    requires detail::no_plain_task<Body> || (!std::same_as<std::remove_cvref_t<Cleanup>, task<>>)
[[nodiscard]] auto finally(Body&& body,
                           time_span limit,
                           Cleanup&& cleanup,
                           std::source_location asked_at = std::source_location::current()) {
    return finally(detail::as_task(static_cast<Body&&>(body)),
                   limit,
                   detail::without_value(detail::as_task(static_cast<Cleanup&&>(cleanup))),
                   asked_at);
}

template <class Body, class Cleanup>
    requires detail::no_plain_task<Body> || (!std::same_as<std::remove_cvref_t<Cleanup>, task<>>)
[[nodiscard]] auto finally(Body&& body,
                           Cleanup&& cleanup,
                           std::source_location asked_at = std::source_location::current()) {
    return finally(static_cast<Body&&>(body),
                   default_cleanup_limit,
                   static_cast<Cleanup&&>(cleanup),
                   asked_at);
}

}  // namespace weft
