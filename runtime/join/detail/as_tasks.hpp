#pragma once

/// Makes a vector of tasks of a range of what can be awaited, or of what gives it when called.

#include <weft/runtime/task/call.hpp>

#include <span>
#include <type_traits>
#include <utility>
#include <vector>

namespace weft::detail {

/// What when_all and its like take in place of a pack: whatever has a begin and an end, and is not
/// itself to be awaited. Its elements are judged by as_task().
template <class Range>
concept range_to_await = requires(std::remove_reference_t<Range>& range) {
    std::begin(range);
    std::end(range);
} && !becomes_task<Range>;

template <class T>
inline constexpr bool is_task_vector = false;

template <plain_value T>
inline constexpr bool is_task_vector<std::vector<task<T>>> = true;

/// What one element is given to as_task() as. An rvalue container gives its elements away. A view
/// does not own them: it gives tasks away, for nothing else can be done with them, and refers to
/// the rest; so does an lvalue container, whose tasks its owner gives away by std::move.
template <class Range, class Element>
using element_to_await =
    std::conditional_t<std::is_lvalue_reference_v<Element> &&
                           (std::ranges::enable_view<std::remove_cvref_t<Range>>
                                ? is_task<std::remove_cvref_t<Element>>
                                : !std::is_lvalue_reference_v<Range>),
                       std::remove_reference_t<Element>&&,
                       Element&&>;

template <class Given, bool IsGood>
struct task_made_of {
    using type = task<>;
};

template <class Given>
struct task_made_of<Given, true> {
    using type = decltype(as_task(std::declval<Given>()));
};

/// How a range becomes a vector of tasks. A class, so that a range that will not do is told in one
/// sentence, with one line for the call.
template <range_to_await Range>
class range_tasks {
    using element = decltype(*std::begin(std::declval<std::remove_reference_t<Range>&>()));
    using given = element_to_await<Range, element>;

    static constexpr bool is_kept =
        is_task<std::remove_cvref_t<given>> && std::is_lvalue_reference_v<given>;
    static_assert(!is_kept, "a task can be awaited once: give the range away by std::move(tasks)");

    static constexpr bool is_work = becomes_task<given> || is_task<std::remove_cvref_t<given>>;
    static_assert(is_work,
                  "a range of tasks is wanted here, or of something else to await, or of callables "
                  "that give it");

    static constexpr bool is_good = is_work && !is_kept;

public:
    using child = typename task_made_of<given, is_good>::type;
    using value_type = typename child::value_type;

    /// A vector of tasks that is given away stays as it is.
    [[nodiscard]] static decltype(auto) take(Range&& range) {
        if constexpr (is_task_vector<Range>) {
            return static_cast<Range&&>(range);
        } else {
            std::vector<child> tasks;
            if constexpr (is_good) {
                if constexpr (requires { std::size(range); }) {
                    tasks.reserve(std::size(range));
                }
                for (auto&& each : range) {
                    tasks.push_back(as_task(static_cast<given>(each)));
                }
            }
            return tasks;
        }
    }
};

}  // namespace weft::detail
