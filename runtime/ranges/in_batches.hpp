#pragma once

#include <weft/runtime/base/argument.hpp>
#include <weft/runtime/base/invoke.hpp>
#include <weft/runtime/base/reference.hpp>
#include <weft/runtime/join/detail/as_tasks.hpp>
#include <weft/runtime/join/when_all.hpp>
#include <weft/runtime/ranges/sequence.hpp>

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

template <class Function, class Range>
concept makes_tasks_of_batches = requires { typename batch_of<Range>; } && requires {
    typename std::invoke_result_t<Function&, batch_of<Range>>::promise_type;
};

template <class Range, class Function, class T>
task<value_list_t<T>> make_in_batches(Range range, Function function, std::size_t size) {
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

/// How much of a range goes together: `in_batches(rows, insert, {.size = 100})`.
struct batch_options {
    std::size_t size = 16;  ///< at least 1; the last batch may be smaller
};

/// Runs a range of tasks, or of other things to await, in batches of `size`: those of a batch
/// concurrently, the next batch when all of them have ended. Yields a vector of the values in the
/// order of the tasks, or nothing for task<void>.
///
/// Where one slow task need not hold up the others, for_each does better.
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
template <detail::range_to_await Range>
[[nodiscard]] auto in_batches(Range&& children, batch_options options) {
    return detail::run_in_batches<typename detail::range_tasks<Range>::value_type>(
        detail::range_tasks<Range>::take(static_cast<Range&&>(children)), options.size);
}

/// Cuts a contiguous range into batches of `size` items, the last of which may be shorter, and
/// awaits `function(batch)`, a task made of a std::span, for one after the other. Yields a vector
/// of the values, or nothing for task<void>. A range given as an lvalue is referred to and must
/// outlive the await; an rvalue is taken over.
template <class Range, class Function>
[[nodiscard]] auto in_batches(Range&& range, Function function, batch_options options) {
    if constexpr (detail::makes_tasks_of_batches<Function, Range>) {
        using made = std::invoke_result_t<Function&, detail::batch_of<Range>>;
        return detail::make_in_batches<Range, Function, typename made::value_type>(
            std::forward<Range>(range), std::move(function), options.size);
    } else {
        static_assert(detail::never<Range, Function>,
                      "a contiguous range is wanted here, and a function that gives a task for a "
                      "std::span of its items: (range, function, {.size = n})");
        return task<>();
    }
}

}  // namespace weft
