#pragma once

#include <weft/runtime/base/argument.hpp>
#include <weft/runtime/base/invoke.hpp>
#include <weft/runtime/base/reference.hpp>
#include <weft/runtime/join/when_all.hpp>
#include <weft/runtime/ranges/sequence.hpp>

#include <concepts>
#include <cstddef>
#include <iterator>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

namespace weft {

namespace detail {

template <class T>
task<value_list_t<T>> run_in_batches(std::vector<task<T>> children, std::size_t size) {
    check_argument(size != 0 || children.empty(), "batches of 0 tasks never get anywhere");
    std::vector<object_t<join_value_t<T>>> values;
    if constexpr (!std::is_void_v<T>) {
        values.reserve(children.size());
    }
    for (auto next = children.begin(); next != children.end();) {
        auto const rest = static_cast<std::size_t>(children.end() - next);
        auto const end = next + static_cast<std::ptrdiff_t>(size < rest ? size : rest);
        std::vector<task<T>> batch(std::make_move_iterator(next), std::make_move_iterator(end));
        next = end;
        if constexpr (std::is_void_v<T>) {
            co_await when_all(std::move(batch));
        } else {
            auto done = co_await when_all(std::move(batch));
            values.insert(values.end(),
                          std::make_move_iterator(done.begin()),
                          std::make_move_iterator(done.end()));
        }
    }
    if constexpr (!std::is_void_v<T>) {
        co_return values;
    }
}

template <class Range>
using batch_of = std::span<
    std::remove_pointer_t<decltype(std::data(std::declval<std::remove_reference_t<Range>&>()))>>;

template <class Range, class Function, class T>
task<value_list_t<T>> make_in_batches(Range range, std::size_t size, Function function) {
    batch_of<Range> rest(std::data(range), std::size(range));
    check_argument(size != 0 || rest.empty(), "batches of 0 items never get anywhere");
    std::vector<object_t<join_value_t<T>>> values;
    while (!rest.empty()) {
        batch_of<Range> const batch = rest.first(size < rest.size() ? size : rest.size());
        rest = rest.subspan(batch.size());
        if constexpr (std::is_void_v<T>) {
            co_await detail::callable_of(function)(batch);
        } else {
            values.push_back(as_object<T>(co_await detail::callable_of(function)(batch)));
        }
    }
    if constexpr (!std::is_void_v<T>) {
        co_return values;
    }
}

}  // namespace detail

/// Runs tasks in batches of `size`: those of a batch concurrently, the next batch when all of them
/// have ended. Yields a vector of the values in the order of the tasks, or nothing for task<void>.
///
/// Where one slow task need not hold up the others, for_each_parallel does better.
///
/// Thread safety: awaited in one coroutine; tasks run on any worker.
/// Cancellation: a stop of the awaiting task stops the batch that runs, which is waited for, and
///     unwinds; later batches never start.
/// Lifetime: what the tasks refer to must outlive the await.
/// Resumption: where the last task ended.
/// Complexity: a vector for each batch; one frame besides the tasks'.
/// Errors: as when_all for the batch that fails; later batches never start, and are destroyed.
///     std::invalid_argument for a size of 0, unless there is no task.
/// Example: examples/parallel_fetch.cpp
template <detail::plain_value T>
[[nodiscard]] task<detail::value_list_t<T>> in_batches(std::vector<task<T>> children,
                                                       std::size_t size) {
    return detail::run_in_batches(std::move(children), size);
}

/// The same for a vector of other things to await.
template <detail::become_list List>
[[nodiscard]] auto in_batches(List&& children, std::size_t size) {
    return in_batches(detail::as_tasks(static_cast<List&&>(children)), size);
}

/// Cuts a contiguous range into batches of `size` items, the last of which may be shorter, and
/// awaits `function(batch)`, a task made of a std::span, for one after the other. Yields a vector
/// of the values, or nothing for task<void>. A range given as an lvalue is referred to and must
/// outlive the await; an rvalue is taken over.
template <class Range, class Function>
    requires std::invocable<Function&, detail::batch_of<Range>>
[[nodiscard]] auto in_batches(Range&& range, std::size_t size, Function function) {
    using value_type =
        typename std::invoke_result_t<Function&, detail::batch_of<Range>>::value_type;
    return detail::make_in_batches<Range, Function, value_type>(
        std::forward<Range>(range), size, std::move(function));
}

}  // namespace weft
