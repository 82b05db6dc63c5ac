#pragma once

#include <weft/runtime/join/detail/first_of.hpp>

#include <tuple>
#include <utility>
#include <vector>

namespace weft {

/// Runs tasks concurrently until one of them ends with a value, and yields that. The others are
/// stopped and waited for. For tasks of different types it is a std::variant, with `unit` for void.
///
/// A child that fails is passed over as long as another may succeed. Every child starts, if only to
/// be stopped at its first wait; none does on a task that is stopped already. What the losers come
/// to is destroyed: their values and their errors. A child's frame, with its parameters, is
/// destroyed when that child ends.
///
/// Thread safety: awaited in one coroutine of a runtime; children run on any worker.
/// Cancellation: a stop of the awaiting task stops every child, and every child is waited for. If
///     one of them ends with a value all the same, that is the outcome; else the task unwinds if
///     the stop kept one of them from its end.
/// Lifetime: what the children refer to must outlive the await; locals of the awaiting coroutine
///     do.
/// Resumption: where the last child ended.
/// Complexity: O(1) per child; no allocation besides the children's frames.
/// Errors: when all children fail, their errors: a single one as it is, several as an
///     exception_group in the order of the tasks. Under `as_result`, the code of the first in that
///     order.
/// Example: examples/parallel_fetch.cpp
template <detail::plain_value... T>
    requires(sizeof...(T) > 0)
[[nodiscard]] auto first_success(task<T>... children) noexcept {
    using operation = detail::first_of_operation<detail::first_of::success, false, T...>;
    return operation(std::tuple<task<T>...>(std::move(children)...));
}

/// The same for other things to await; see when_all.
template <class... Work>
    requires(sizeof...(Work) > 0)
[[nodiscard]] auto first_success(Work&&... children WEFT_LIFETIMEBOUND) {
    return first_success(detail::as_task(static_cast<Work&&>(children))...);
}

/// The same for what stands in a tuple.
template <class... Work>
    requires(sizeof...(Work) > 0)
[[nodiscard]] auto first_success(std::tuple<Work...> children) {
    return std::apply([](Work&... each) { return first_success(static_cast<Work&&>(each)...); },
                      children);
}

/// The same for a range; see when_all; allocates once, for the errors. An empty range
/// fails with std::errc::invalid_argument.
template <detail::range_to_await Range>
[[nodiscard]] auto first_success(Range&& children) {
    using operation =
        detail::first_of_range_operation<detail::first_of::success,
                                         false,
                                         typename detail::range_tasks<Range>::value_type>;
    return operation(detail::range_tasks<Range>::take(static_cast<Range&&>(children)));
}

}  // namespace weft
