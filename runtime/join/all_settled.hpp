#pragma once

#include <weft/runtime/join/detail/as_tasks.hpp>
#include <weft/runtime/join/detail/start_all_join.hpp>
#include <weft/runtime/task/settled.hpp>
#include <weft/runtime/values/result.hpp>

#include <concepts>
#include <cstddef>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace weft {

/// What `co_await all_settled(tasks...)` waits in; the result form hides the stop.
template <bool ResultForm, class... T>
class [[nodiscard]] all_settled_operation
    : private detail::join_of_pack<all_settled_operation<ResultForm, T...>, T...> {
    using base = detail::join_of_pack<all_settled_operation, T...>;
    using outcomes = std::tuple<settled<T>...>;

    friend base;

public:
    explicit all_settled_operation(std::tuple<task<T>...>&& children) noexcept
        : base(std::move(children)) {}

    [[nodiscard]] bool await_ready() const noexcept { return false; }

    template <std::derived_from<detail::promise_base> Promise>
    [[nodiscard]] std::coroutine_handle<> await_suspend(
        std::coroutine_handle<Promise> parent) noexcept {
        if constexpr (ResultForm) {
            this->tell_when_stopped();
        }
        return this->begin(parent.promise(), "all_settled");
    }

    std::conditional_t<ResultForm, result<outcomes>, outcomes> await_resume() {
        return std::move(outcomes_);
    }

    [[nodiscard]] all_settled_operation<true, T...> as_result() && noexcept
        requires(!ResultForm)
    {
        return all_settled_operation<true, T...>(std::move(this->children_));
    }

private:
    template <std::size_t I, class Promise>
    stop_kind child_ended(Promise& child) noexcept {
        detail::settled_access::move_outcome(child, std::get<I>(outcomes_));
        return stop_kind::none;
    }

    outcomes outcomes_;
};

/// The same for a range.
template <bool ResultForm, class T>
class [[nodiscard]] all_settled_range_operation
    : private detail::join_of_range<all_settled_range_operation<ResultForm, T>, T> {
    using base = detail::join_of_range<all_settled_range_operation, T>;
    using outcomes = std::vector<settled<T>>;

    friend base;

public:
    explicit all_settled_range_operation(std::vector<task<T>>&& children)
        : base(std::move(children))
        , outcomes_(this->children_.size()) {}

    [[nodiscard]] bool await_ready() const noexcept { return false; }

    template <std::derived_from<detail::promise_base> Promise>
    [[nodiscard]] std::coroutine_handle<> await_suspend(
        std::coroutine_handle<Promise> parent) noexcept {
        if constexpr (ResultForm) {
            this->tell_when_stopped();
        }
        return this->begin(parent.promise(), "all_settled");
    }

    std::conditional_t<ResultForm, result<outcomes>, outcomes> await_resume() {
        return std::move(outcomes_);
    }

[[nodiscard]] all_settled_range_operation<true, T> as_result() &&
    requires(!ResultForm) {
        return all_settled_range_operation<true, T>(std::move(this->children_));
    }

    private : stop_kind child_ended(std::size_t index, detail::task_promise<T>& child) noexcept {
        detail::settled_access::move_outcome(child, outcomes_[index]);
        return stop_kind::none;
    }

    outcomes outcomes_;
};

/// Runs tasks concurrently and waits for all of them, however they end. Yields a tuple of what each
/// came to: value, error or stopped.
///
/// Every child starts, whatever becomes of the others; none does on a task that is stopped already.
/// A child's frame, and with it its parameters, is destroyed when that child ends.
///
/// Thread safety: awaited in one coroutine; children run on any worker.
/// Cancellation: a stop of the awaiting task stops every child, and every child is waited for. The
///     task unwinds if that kept one of them from its end; under `as_result` it goes on, always
///     with the outcomes, of which some are stopped.
/// Lifetime: what the children refer to must outlive the await; locals of the awaiting coroutine
///     do.
/// Resumption: where the last child ended.
/// Complexity: O(1) per child; no allocation besides the children's frames.
/// Errors: a child's error is part of its outcome; none is thrown.
/// Example: examples/parallel_fetch.cpp
template <detail::plain_value... T>
    requires(sizeof...(T) > 0)
[[nodiscard]] all_settled_operation<false, T...> all_settled(task<T>... children) noexcept {
    return all_settled_operation<false, T...>(std::tuple<task<T>...>(std::move(children)...));
}

/// The same for other things to await; see when_all.
template <class... Work>
    requires(sizeof...(Work) > 0)
[[nodiscard]] auto all_settled(Work&&... children WEFT_LIFETIMEBOUND) {
    return all_settled(detail::as_task(static_cast<Work&&>(children))...);
}

/// The same for what stands in a tuple.
template <class... Work>
    requires(sizeof...(Work) > 0)
[[nodiscard]] auto all_settled(std::tuple<Work...> children) {
    return std::apply([](Work&... each) { return all_settled(static_cast<Work&&>(each)...); },
                      children);
}

/// The same for a range; see when_all. Yields a vector of outcomes in the order of
/// the tasks, for which it allocates once. An empty range is complete at once.
template <detail::range_to_await Range>
[[nodiscard]] auto all_settled(Range&& children) {
    using operation =
        all_settled_range_operation<false, typename detail::range_tasks<Range>::value_type>;
    return operation(detail::range_tasks<Range>::take(static_cast<Range&&>(children)));
}

}  // namespace weft
