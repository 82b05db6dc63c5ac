#pragma once

#include <weft/runtime/base/invoke.hpp>
#include <weft/runtime/ranges/detail/parallel_lanes.hpp>
#include <weft/runtime/ranges/parallel_options.hpp>

#include <concepts>
#include <cstddef>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

namespace weft {

namespace detail {

/// By value: what `reduce` gives may refer to what it is called with.
template <class T, class Reduce>
[[nodiscard]] T reduce_two(Reduce& reduce, T&& left, T&& right) {
    return detail::invoke(reduce, static_cast<T&&>(left), static_cast<T&&>(right));
}

template <class Range, class Function, class T, class Reduce>
task<T> map_reduce_in_lanes(
    Range range, Function function, T initial, Reduce reduce, std::size_t limit) {
    std::size_t const lanes = lane_count<Range>(range, limit);
    std::vector<std::optional<T>> partial(lanes);
    auto const keep = [&](std::size_t lane) {
        return [&own = partial[lane], &reduce](std::size_t, auto&& value) {
            if (own) {
                own.emplace(reduce_two<T>(
                    reduce, std::move(*own), T(static_cast<decltype(value)&&>(value))));
            } else {
                own.emplace(static_cast<decltype(value)&&>(value));
            }
        };
    };
    co_await run_lanes<Range>(range, lanes, function, keep, "map_reduce");
    for (std::optional<T>& each : partial) {
        if (each) {
            initial = reduce_two<T>(reduce, std::move(initial), std::move(*each));
        }
    }
    co_return initial;
}

}  // namespace detail

/// Awaits `function(item)`, a task, for every item of a range, at most `limit` at a time, and
/// yields what `reduce(T, T)` makes of `initial` and of all values.
///
/// Values are grouped and ordered as the tasks happen to end: `reduce` is to be associative and
/// commutative, or the result differs from run to run. It is called by several lanes at a time, so
/// it is to keep no state. For a fold in the order of the items, use map.
///
/// A range given as an lvalue is referred to and must outlive the await; an rvalue is taken over.
///
/// Thread safety: awaited in one coroutine; both functions are called on any worker, by several at
///     a time.
/// Cancellation: a stop of the awaiting task stops every item's task, and every one is waited for;
///     no further item is begun, and the task unwinds.
/// Lifetime: keeps the functions until the end. What the tasks refer to must outlive the await.
/// Resumption: where the last item's task ended.
/// Complexity: `limit` frames besides the items' own, or as many as there are items; one lock for
///     each item. At most `limit` values are kept.
/// Errors: the first item to fail stops the others, and no further one is begun. A single error is
///     rethrown as it is, several as an exception_group in the order of the items.
///     std::invalid_argument for a limit of 0, unless there is no item.
/// Example: examples/parallel_fetch.cpp
template <class Range, class Function, class T, class Reduce>
[[nodiscard]] task<T> map_reduce(Range&& range,
                                 Function function,
                                 T initial,
                                 Reduce reduce,
                                 parallel_options options = parallel_options()) {
    constexpr bool reduces = std::is_invocable_r_v<T, Reduce&, T, T>;
    static_assert(reduces, "what reduces takes two values and gives one: T reduce(T, T)");
    if constexpr (!detail::works_through<Range, Function>) {
        (void)detail::rejected_work<Range, Function>::none();
        return task<T>();
    } else if constexpr (!reduces) {
        return task<T>();
    } else {
        return detail::map_reduce_in_lanes<Range, Function, T, Reduce>(std::forward<Range>(range),
                                                                       std::move(function),
                                                                       std::move(initial),
                                                                       std::move(reduce),
                                                                       options.limit);
    }
}

}  // namespace weft
