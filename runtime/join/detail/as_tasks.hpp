#pragma once

/// Makes a vector of tasks of a vector of other things that can be awaited.

#include <weft/runtime/task/call.hpp>

#include <type_traits>
#include <utility>
#include <vector>

namespace weft::detail {

template <class T>
inline constexpr bool is_list_to_await = false;

template <class Work>
inline constexpr bool is_list_to_await<std::vector<Work>> = becomes_task<Work>;

template <class Work>
inline constexpr bool is_list_to_await<std::vector<Work>&> = becomes_task<Work&>;

template <class T>
inline constexpr bool is_list_to_await<std::vector<task<T>>> = std::is_const_v<T>;

/// What when_all and its like take in place of a vector of tasks: a vector of other things. An
/// lvalue is referred to.
template <class List>
concept become_list = is_list_to_await<List>;

template <become_list List>
[[nodiscard]] auto as_tasks(List&& list) {
    using work = std::conditional_t<std::is_lvalue_reference_v<List>,
                                    typename std::remove_reference_t<List>::value_type&,
                                    typename std::remove_reference_t<List>::value_type>;
    std::vector<decltype(as_task(std::declval<work>()))> tasks;
    tasks.reserve(list.size());
    for (auto& each : list) {
        tasks.push_back(as_task(static_cast<work&&>(each)));
    }
    return tasks;
}

}  // namespace weft::detail
