#pragma once

#include <weft/runtime/join/detail/first_of.hpp>

#include <tuple>
#include <utility>
#include <vector>

namespace weft {

/// Runs tasks concurrently until the first of them ends, with a value or an error, and yields its
/// value in a std::variant whose index() is that task's number; `unit` stands for void. The others
/// are stopped and waited for.
///
/// Every child starts, if only to be stopped at its first wait; none does on a task that is stopped
/// already. What the losers come to is destroyed: their values and their errors; only the first
/// child's error is rethrown. So a loser that reads may have read something at the last moment, and
/// that is gone: where it must not be, race what only waits, or let the children keep outside what
/// they get. A child's frame, with its parameters, is destroyed when that child ends. A task that
/// was stopped has not ended and wins nothing. Whoever needs a value, if any of the tasks has one,
/// takes first_success.
///
/// Thread safety: awaited in one coroutine of a runtime; children run on any worker.
/// Cancellation: a stop of the awaiting task stops every child, and every child is waited for. If
///     one of them ends with a value or an error all the same, that is the outcome; else the task
///     unwinds.
/// Lifetime: what the children refer to must outlive the await; locals of the awaiting coroutine
///     do.
/// Resumption: where the last child ended.
/// Complexity: O(1) per child; no allocation besides the children's frames.
/// Errors: that of the first child to end.
/// Example: examples/parallel_fetch.cpp
template <detail::plain_value... T>
    requires(sizeof...(T) > 0)
[[nodiscard]] auto when_any(task<T>... children) noexcept {
    using operation = detail::first_of_operation<detail::first_of::ended_with_index, false, T...>;
    return operation(std::tuple<task<T>...>(std::move(children)...));
}

/// The same for other things to await; see when_all.
template <class... Work>
    requires(sizeof...(Work) > 0)
[[nodiscard]] auto when_any(Work&&... children WEFT_LIFETIMEBOUND) {
    return when_any(detail::as_task(static_cast<Work&&>(children))...);
}

/// The same for what stands in a tuple.
template <class... Work>
    requires(sizeof...(Work) > 0)
[[nodiscard]] auto when_any(std::tuple<Work...> children) {
    return std::apply([](Work&... each) { return when_any(static_cast<Work&&>(each)...); },
                      children);
}

/// The same for a range; see when_all. Yields the first value and its task's number,
/// as `indexed<T>`. An empty range fails with std::errc::invalid_argument.
template <detail::range_to_await Range>
[[nodiscard]] auto when_any(Range&& children) {
    using operation =
        detail::first_of_range_operation<detail::first_of::ended_with_index,
                                         false,
                                         typename detail::range_tasks<Range>::value_type>;
    return operation(detail::range_tasks<Range>::take(static_cast<Range&&>(children)));
}

/// As when_any, without the number: yields the value of the first task to end. For tasks of
/// different types it is a std::variant, with `unit` for void.
template <detail::plain_value... T>
    requires(sizeof...(T) > 0)
[[nodiscard]] auto race(task<T>... children) noexcept {
    using operation = detail::first_of_operation<detail::first_of::ended, false, T...>;
    return operation(std::tuple<task<T>...>(std::move(children)...));
}

/// The same for other things to await; see when_all.
template <class... Work>
    requires(sizeof...(Work) > 0)
[[nodiscard]] auto race(Work&&... children WEFT_LIFETIMEBOUND) {
    return race(detail::as_task(static_cast<Work&&>(children))...);
}

/// The same for what stands in a tuple.
template <class... Work>
    requires(sizeof...(Work) > 0)
[[nodiscard]] auto race(std::tuple<Work...> children) {
    return std::apply([](Work&... each) { return race(static_cast<Work&&>(each)...); }, children);
}

/// The same for a range; see when_all. An empty range fails with
/// std::errc::invalid_argument.
template <detail::range_to_await Range>
[[nodiscard]] auto race(Range&& children) {
    using operation =
        detail::first_of_range_operation<detail::first_of::ended,
                                         false,
                                         typename detail::range_tasks<Range>::value_type>;
    return operation(detail::range_tasks<Range>::take(static_cast<Range&&>(children)));
}

}  // namespace weft
