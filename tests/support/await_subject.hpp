#pragma once

/// Functions that await tasks, for the mill of tests/io/await_matrix_test.cpp.

#include <weft/runtime/scope/this_task.hpp>
#include <weft/runtime/task/as_result.hpp>
#include <weft/runtime/task/task.hpp>
#include <weft/runtime/time/sleep.hpp>
#include <weft/runtime/values/error.hpp>

#include <chrono>
#include <cstddef>
#include <system_error>
#include <utility>
#include <vector>

namespace weft::test {

using cast = std::vector<task<int>>;

struct await_subject {
    /// What decides the outcome.
    enum class family {
        all,            ///< the first error, else a stop
        in_turn,        ///< the first, in their order, that has no value
        first,          ///< whoever ends first
        first_success,  ///< the first value
        settled,        ///< only a stop
        waits,          ///< has no children, and waits for what does not come
        refuses,        ///< the same, but fails at once where a deadline would end the wait
    };

    char const* name;
    family kind;
    std::size_t fewest;  ///< children
    std::size_t most;
    task<> (*make)(cast children);
};

namespace subjects {

inline constexpr auto for_ever = std::chrono::hours(24);

/// Tells the outcome of a result form as the plain form does.
template <class R>
task<> as_plain(R ended) {
    if (!ended && ended.error() != std::errc::operation_canceled) {
        throw std::system_error(ended.error());
    }
    co_await this_task::stop_point();
    if (!ended) {
        throw operation_cancelled();
    }
}

/// `Make` gives the operation on the children.
template <auto Make>
task<> plain(cast children) {
    (void)co_await Make(children);
}

template <auto Make>
task<> result_form(cast children) {
    auto ended = co_await (Make(children) | as_result);
    co_await as_plain(std::move(ended));
}

inline task<int> sleep_long() {
    co_await sleep_for(for_ever);
    co_return 1;
}

}  // namespace subjects

}  // namespace weft::test
