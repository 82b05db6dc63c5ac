#pragma once

#include <weft/runtime/base/mutex.hpp>
#include <weft/runtime/base/reference.hpp>
#include <weft/runtime/ranges/detail/parallel_lanes.hpp>
#include <weft/runtime/ranges/parallel_options.hpp>
#include <weft/runtime/task/settled.hpp>

#include <cstddef>
#include <iterator>
#include <type_traits>
#include <utility>
#include <vector>

namespace weft {

namespace detail {

template <class Range, class Function>
using mapped_t = typename task_of<Range, Function>::value_type;

/// What can be mapped: the tasks have values.
template <class Range, class Function>
concept maps_through = works_through<Range, Function> && !std::is_void_v<mapped_t<Range, Function>>;

/// The values that the tasks give, pointers for references.
template <class Range, class Function>
using mapped_list_t = std::vector<object_t<mapped_t<Range, Function>>>;

template <class Range, class Function>
task<mapped_list_t<Range, Function>> map_in_order(Range range,
                                                  Function function,
                                                  std::size_t limit) {
    using value_type = mapped_t<Range, Function>;
    auto const count =
        static_cast<std::size_t>(std::ranges::distance(std::begin(range), std::end(range)));
    std::vector<settled<value_type>> places(count);
    auto const keep = [&places](std::size_t) {
        return [&places](std::size_t index, value_type&& value) {
            settled_access::put(places[index],
                                as_object<value_type>(static_cast<value_type&&>(value)));
        };
    };
    co_await run_lanes<Range>(range, lane_count<Range>(range, limit), function, keep, "map");
    mapped_list_t<Range, Function> values;
    values.reserve(count);
    for (settled<value_type>& each : places) {
        values.push_back(as_object<value_type>(*std::move(each)));
    }
    co_return values;
}

template <class Range, class Function>
task<mapped_list_t<Range, Function>> map_as_completed(Range range,
                                                      Function function,
                                                      std::size_t limit) {
    using value_type = mapped_t<Range, Function>;
    mapped_list_t<Range, Function> values;
    mutex access;
    auto const keep = [&](std::size_t) {
        return [&](std::size_t, value_type&& value) {
            scoped_lock const lock(access);
            values.push_back(as_object<value_type>(static_cast<value_type&&>(value)));
        };
    };
    co_await run_lanes<Range>(
        range, lane_count<Range>(range, limit), function, keep, "map_unordered");
    co_return values;
}

}  // namespace detail

/// Awaits `function(item)`, a task, for every item of a range, at most `limit` at a time, and
/// yields a vector of the values, of pointers for references, in the order of the items.
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
///     each item, and a place for each value.
/// Errors: the first item to fail stops the others, and no further one is begun. A single error is
///     rethrown as it is, several as an exception_group in the order of the items.
///     std::invalid_argument for a limit of 0, unless there is no item.
/// Example: examples/parallel_fetch.cpp
template <class Range, class Function>
[[nodiscard]] auto map(Range&& range,
                       Function function,
                       parallel_options options = parallel_options()) {
    if constexpr (detail::maps_through<Range, Function>) {
        return detail::map_in_order<Range, Function>(
            std::forward<Range>(range), std::move(function), options.limit);
    } else {
        return detail::rejected_work<Range, Function>::none();
    }
}

/// The same, with the values in the order in which they were there.
template <class Range, class Function>
[[nodiscard]] auto map_unordered(Range&& range,
                                 Function function,
                                 parallel_options options = parallel_options()) {
    if constexpr (detail::maps_through<Range, Function>) {
        return detail::map_as_completed<Range, Function>(
            std::forward<Range>(range), std::move(function), options.limit);
    } else {
        return detail::rejected_work<Range, Function>::none();
    }
}

}  // namespace weft
