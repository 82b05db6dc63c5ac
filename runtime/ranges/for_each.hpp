#pragma once

#include <weft/runtime/ranges/detail/parallel_lanes.hpp>
#include <weft/runtime/ranges/parallel_options.hpp>

#include <cstddef>
#include <utility>

namespace weft {

namespace detail {

template <class Range, class Function>
task<> for_each_in_lanes(Range range, Function function, std::size_t limit) {
    auto const ignore = [](std::size_t) { return [](std::size_t, auto&&...) {}; };
    co_await run_lanes<Range>(range, lane_count<Range>(range, limit), function, ignore, "for_each");
}

}  // namespace detail

/// Awaits `function(item)`, a task, for every item of a range, at most `limit` at a time. Items are
/// begun in order.
///
///     co_await weft::for_each(paths, load, {.limit = 8});
///
/// A range given as an lvalue is referred to and must outlive the await; an rvalue is taken over.
/// The items stay where they are until the end, so a task may take its item by reference.
///
/// Thread safety: awaited in one coroutine; `function` is called on any worker, by several at a
///     time.
/// Cancellation: a stop of the awaiting task stops every item's task, and every one is waited for;
///     no further item is begun, and the task unwinds.
/// Lifetime: keeps the function until the end. What the tasks refer to must outlive the await.
/// Resumption: where the last item's task ended.
/// Complexity: `limit` frames besides the items' own, or as many as there are items; one lock for
///     each item.
/// Errors: the first item to fail stops the others, and no further one is begun. A single error is
///     rethrown as it is, several as an exception_group in the order of the items.
///     std::invalid_argument for a limit of 0, unless there is no item.
/// Example: examples/parallel_fetch.cpp
template <class Range, class Function>
[[nodiscard]] task<> for_each(Range&& range,
                              Function function,
                              parallel_options options = parallel_options()) {
    if constexpr (detail::works_through<Range, Function>) {
        return detail::for_each_in_lanes<Range, Function>(
            std::forward<Range>(range), std::move(function), options.limit);
    } else {
        return detail::rejected_work<Range, Function>::none();
    }
}

}  // namespace weft
