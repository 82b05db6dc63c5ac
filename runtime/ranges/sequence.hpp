#pragma once

#include <weft/runtime/base/invoke.hpp>
#include <weft/runtime/base/reference.hpp>
#include <weft/runtime/join/detail/as_tasks.hpp>
#include <weft/runtime/join/when_all.hpp>
#include <weft/runtime/task/settled.hpp>

#include <concepts>
#include <cstddef>
#include <iterator>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace weft {

namespace detail {

/// What a list of tasks gives: their values, pointers for references, or nothing for task<void>.
template <class T>
using value_list_t =
    std::conditional_t<std::is_void_v<T>, void, std::vector<object_t<join_value_t<T>>>>;

template <class T>
[[nodiscard]] task<join_value_t<T>> with_unit(task<T> child) {
    if constexpr (std::is_void_v<T>) {
        co_await std::move(child);
        co_return unit{};
    } else {
        co_return co_await std::move(child);
    }
}

template <std::size_t... I, class... T>
task<std::tuple<join_value_t<T>...>> run_in_turn(std::index_sequence<I...>,
                                                 std::tuple<task<T>...> children) {
    std::tuple<settled<join_value_t<T>>...> values;
    (settled_access::put(
         std::get<I>(values),
         as_object<join_value_t<T>>(co_await with_unit(std::move(std::get<I>(children))))),
     ...);
    co_return std::tuple<join_value_t<T>...>(std::move(std::get<I>(values)).value()...);
}

template <class T>
task<value_list_t<T>> run_in_turn(std::vector<task<T>> children) {
    if constexpr (std::is_void_v<T>) {
        for (task<T>& each : children) {
            co_await std::move(each);
        }
    } else {
        value_list_t<T> values;
        values.reserve(children.size());
        for (task<T>& each : children) {
            values.push_back(as_object<T>(co_await std::move(each)));
        }
        co_return values;
    }
}

template <class Range, class Function, class T>
task<value_list_t<T>> make_in_turn(Range range, Function function) {
    if constexpr (std::is_void_v<T>) {
        for (auto&& item : range) {
            co_await detail::callable_of(function)(static_cast<decltype(item)&&>(item));
        }
    } else {
        value_list_t<T> values;
        for (auto&& item : range) {
            values.push_back(as_object<T>(
                co_await detail::callable_of(function)(static_cast<decltype(item)&&>(item))));
        }
        co_return values;
    }
}

/// What the task that `Function` makes of an item of `Range` gives.
template <class Range, class Function>
using item_value_t = typename std::invoke_result_t<
    Function&,
    decltype(*std::begin(std::declval<std::remove_reference_t<Range>&>()))>::value_type;

}  // namespace detail

/// Runs tasks one after the other, in the order of the arguments, and yields a tuple of their
/// values; `unit` stands for void. A task starts when the one before it has ended with a value.
///
/// Thread safety: awaited in one coroutine.
/// Cancellation: a stop reaches the task that runs, and unwinds; the others never start.
/// Lifetime: what the tasks refer to must outlive the await.
/// Resumption: where the last task ended.
/// Complexity: two frames besides the tasks', one at a time; no allocation otherwise.
/// Errors: that of the first task to fail; the others never start, and are destroyed.
/// Example: examples/parallel_fetch.cpp
template <detail::plain_value... T>
    requires(sizeof...(T) > 0)
[[nodiscard]] task<std::tuple<detail::join_value_t<T>...>> sequence(task<T>... children) {
    return detail::run_in_turn(std::index_sequence_for<T...>{},
                               std::tuple<task<T>...>(std::move(children)...));
}

/// The same for other things to await; see when_all.
template <class... Work>
    requires(sizeof...(Work) > 0)
[[nodiscard]] auto sequence(Work&&... children) {
    return sequence(detail::as_task(static_cast<Work&&>(children))...);
}

/// The same for what stands in a tuple.
template <class... Work>
    requires(sizeof...(Work) > 0)
[[nodiscard]] auto sequence(std::tuple<Work...> children) {
    return std::apply([](Work&... each) { return sequence(static_cast<Work&&>(each)...); },
                      children);
}

/// The same for a range; see when_all. Yields a vector of their values, or nothing
/// for task<void>.
template <detail::range_to_await Range>
[[nodiscard]] auto sequence(Range&& children) {
    return detail::run_in_turn<typename detail::range_tasks<Range>::value_type>(
        detail::range_tasks<Range>::take(static_cast<Range&&>(children)));
}

/// Makes a task of each item of a range, by `function(item)`, when the one before it has ended.
/// Yields a vector of their values, or nothing for task<void>. A range given as an lvalue is
/// referred to and must outlive the await; an rvalue is taken over.
template <class Range, class Function>
    requires std::invocable<Function&,
                            decltype(*std::begin(std::declval<std::remove_reference_t<Range>&>()))>
[[nodiscard]] auto sequence(Range&& range, Function function) {
    return detail::make_in_turn<Range, Function, detail::item_value_t<Range, Function>>(
        std::forward<Range>(range), std::move(function));
}

}  // namespace weft
