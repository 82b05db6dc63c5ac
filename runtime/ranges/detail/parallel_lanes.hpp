#pragma once

/// What works through a range with a limit on concurrency: a few lanes, each a coroutine that takes
/// the next item, awaits what is made of it, and comes back for another.
///
/// All lanes start at once, and the first that fails stops the others.

#include <weft/runtime/base/argument.hpp>
#include <weft/runtime/base/invoke.hpp>
#include <weft/runtime/base/mutex.hpp>
#include <weft/runtime/join/detail/start_all_join.hpp>
#include <weft/runtime/task/task.hpp>

#include <concepts>
#include <coroutine>
#include <cstddef>
#include <exception>
#include <iterator>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

namespace weft::detail {

template <class Range>
using iterator_of = decltype(std::begin(std::declval<std::remove_reference_t<Range>&>()));

template <class Range>
using item_of = decltype(*std::declval<iterator_of<Range>&>());

template <class Range, class Function>
using task_of = std::invoke_result_t<Function&, item_of<Range>>;

/// A range that may be gone through more than once, or by several at a time.
template <class Range>
concept multi_pass =
    requires { typename iterator_of<Range>; } && std::forward_iterator<iterator_of<Range>>;

/// A function that makes a task of each item of a range.
template <class Function, class Range>
concept makes_tasks_of = std::invocable<Function&, item_of<Range>> &&
                         requires { typename task_of<Range, Function>::promise_type; };

/// What can be worked through.
template <class Range, class Function>
concept works_through = multi_pass<Range> && makes_tasks_of<Function, Range>;

/// Says why the rest cannot. A class, so that it takes one line for the call.
template <class Range, class Function>
struct rejected_work {
    static_assert(
        multi_pass<Range>,
        "a range is wanted here that can be gone through more than once, as a vector can: "
        "(range, function, {.limit = n})");
    static_assert(!multi_pass<Range> || makes_tasks_of<Function, Range>,
                  "a function is wanted here that gives a task for each item of the range: (range, "
                  "function, {.limit = n})");
    static_assert(!works_through<Range, Function>,
                  "the tasks give nothing to map the items to: take for_each");

    [[nodiscard]] static task<> none() { return task<>(); }
};

/// The items that nobody has taken yet, for all lanes.
template <class Range>
class work_source {
public:
    using iterator = iterator_of<Range>;

    struct item {
        item(iterator at, std::size_t number) : position(std::move(at)), index(number) {}

        iterator position;
        std::size_t index;
    };

    explicit work_source(std::remove_reference_t<Range>& range)
        : next_(std::begin(range))
        , end_(std::end(range)) {}

    /// Any lane.
    [[nodiscard]] std::optional<item> claim() {
        scoped_lock const lock(mutex_);
        if (next_ == end_) {
            return std::nullopt;
        }
        item claimed(next_, count_);
        ++next_;
        ++count_;
        return claimed;
    }

private:
    // --- any thread, under mutex_ ------------------------------------------------
    mutex mutex_;
    iterator next_;
    decltype(std::end(std::declval<std::remove_reference_t<Range>&>())) end_;
    std::size_t count_ = 0;
};

/// The errors of items, with their numbers.
class item_errors {
public:
    /// Any lane.
    void note(std::size_t index, std::exception_ptr error);

    /// After the join: throws them, in the order of the items, one as it is, several together;
    /// `otherwise` if there is none.
    [[noreturn]] void rethrow(std::exception_ptr const& otherwise);

private:
    struct numbered {
        std::size_t index;
        std::exception_ptr error;
    };

    // --- any thread, under mutex_ ------------------------------------------------
    mutex mutex_;
    std::vector<numbered> list_;
};

/// Waits for all lanes. Yields the error of the first one to fail, or null.
class [[nodiscard]] lane_join : private join_of_range<lane_join, void> {
    using base = join_of_range<lane_join, void>;

    friend base;

public:
    lane_join(std::vector<task<>>&& lanes, char const* name) noexcept
        : base(std::move(lanes))
        , name_(name) {}

    [[nodiscard]] bool await_ready() const noexcept { return children_.empty(); }

    template <std::derived_from<promise_base> Promise>
    [[nodiscard]] std::coroutine_handle<> await_suspend(
        std::coroutine_handle<Promise> parent) noexcept {
        return begin(parent.promise(), name_);
    }

    [[nodiscard]] std::exception_ptr await_resume() noexcept { return std::move(failure_); }

private:
    stop_kind child_ended(std::size_t, task_promise<void>& lane) noexcept {
        if (lane.outcome_ != outcome::error || !claim()) {
            return stop_kind::none;
        }
        failure_ = lane.error();
        return stop_kind::sibling_failed;
    }

    char const* name_;
    std::exception_ptr failure_;
};

/// `keep(index, value)` takes what the task of an item gave, `keep(index)` if that is nothing.
template <class Range, class Function, class Keep>
task<> run_lane(work_source<Range>& source, item_errors& errors, Function& function, Keep keep) {
    while (auto claimed = source.claim()) {
        co_await checkpoint();
        try {
            auto&& item = *claimed->position;
            if constexpr (std::is_void_v<typename task_of<Range, Function>::value_type>) {
                co_await detail::callable_of(function)(static_cast<item_of<Range>&&>(item));
                keep(claimed->index);
            } else {
                keep(claimed->index,
                     co_await detail::callable_of(function)(static_cast<item_of<Range>&&>(item)));
            }
        } catch (...) {
            errors.note(claimed->index, std::current_exception());
            throw;
        }
    }
}

/// Works through `range` in at most `limit` lanes. `make_keep(lane)` gives what lane number `lane`
/// keeps values with; `name` is what the user calls the operation.
template <class Range, class Function, class MakeKeep>
task<> run_lanes(std::remove_reference_t<Range>& range,
                 std::size_t limit,
                 Function& function,
                 MakeKeep make_keep,
                 char const* name) {
    work_source<Range> source(range);
    item_errors errors;
    std::vector<task<>> lanes;
    lanes.reserve(limit);
    for (std::size_t i = 0; i < limit; ++i) {
        lanes.push_back(run_lane<Range>(source, errors, function, make_keep(i)));
    }
    lane_join all(std::move(lanes), name);
    if (std::exception_ptr const failure = co_await all; failure != nullptr) {
        errors.rethrow(failure);
    }
}

/// How many lanes are of use: no more than there are items. A range that does not know how many it
/// has is gone through, up to the limit.
template <class Range>
[[nodiscard]] std::size_t lane_count(std::remove_reference_t<Range>& range, std::size_t limit) {
    auto next = std::begin(range);
    auto const end = std::end(range);
    check_argument(limit != 0 || next == end, "a limit on concurrency of 0 lets nothing run");
    if constexpr (requires { std::size(range); }) {
        auto const size = static_cast<std::size_t>(std::size(range));
        return size < limit ? size : limit;
    } else {
        std::size_t count = 0;
        for (; count != limit && next != end; ++next) {
            ++count;
        }
        return count;
    }
}

}  // namespace weft::detail
