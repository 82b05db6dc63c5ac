#pragma once

#include <weft/runtime/base/reference.hpp>
#include <weft/runtime/join/detail/as_tasks.hpp>
#include <weft/runtime/join/detail/completed_queue.hpp>
#include <weft/runtime/join/detail/start_all_join.hpp>
#include <weft/runtime/join/when_all.hpp>
#include <weft/runtime/task/as_result.hpp>
#include <weft/runtime/task/settled.hpp>
#include <weft/runtime/values/result.hpp>

#include <concepts>
#include <cstddef>
#include <exception>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace weft {

/// What the task of this number came to.
///
/// Thread safety: as for a plain value.
/// Cancellation: never suspends.
/// Lifetime: owns its value.
/// Complexity: no allocation.
/// Errors: as for settled.
template <class T>
class [[nodiscard]] completed : public settled<T> {
public:
    completed(std::size_t number,
              settled<T>&& outcome) noexcept(std::is_nothrow_move_constructible_v<settled<T>>)
        : settled<T>(std::move(outcome))
        , index(number) {}

    std::size_t index;
};

template <bool ResultForm, class T, class Body>
class as_completed_operation;

/// The outcomes of tasks that run concurrently, in the order in which they end. Made by
/// `as_completed`, passed to its body.
///
/// Thread safety: one coroutine at a time awaits `next`, the body or what it awaits; `left` and
///     `request_stop` from any thread until the body ends. The request whose stop makes the body
///     end is waited for; whoever else asks sees to it that the body has not ended.
/// Cancellation: a stop of the coroutine in `next` unwinds it; nothing has been taken then. An
///     outcome that is there when it is asked for wins.
/// Lifetime: lives until the body ends; do not keep references beyond it.
/// Resumption: `next` through the scheduler of its coroutine, or at once when an outcome is there.
/// Complexity: O(1) and one lock for each outcome; no allocation.
/// Errors: none of its own; a task's error is in its outcome.
template <class T>
class completions {
public:
    class next_operation : private detail::completed_wait {
    public:
        explicit next_operation(completions& from) noexcept
            : completed_wait(from.queue_)
            , from_(&from) {}

        [[nodiscard]] bool await_ready() noexcept { return detail::spend_budget() && is_ready(); }

        template <std::derived_from<detail::promise_base> Promise>
        [[nodiscard]] std::coroutine_handle<> await_suspend(
            std::coroutine_handle<Promise> taker) noexcept {
            return start(taker.promise());
        }

        std::optional<completed<T>> await_resume() { return from_->take(); }

    private:
        completions* from_;
    };

    completions(completions const&) = delete;
    completions& operator=(completions const&) = delete;

    /// Yields the outcome of the next task to end, whatever it is; nothing when all were given.
    [[nodiscard]] next_operation next() noexcept { return next_operation(*this); }

    /// How many outcomes `next` has still to give.
    [[nodiscard]] std::size_t left() noexcept { return queue_.left(); }

    /// Stops the tasks that still run; `next` gives their outcomes nevertheless.
    bool request_stop(stop_reason const& reason = stop_reason(stop_kind::requested)) noexcept {
        return join_->request_stop(reason);
    }

private:
    template <bool ResultForm, class U, class Body>
    friend class as_completed_operation;

    struct place : detail::completed_queue::node {
        settled<T> outcome;
    };

    completions(detail::start_all_join& join, std::size_t count)
        : join_(&join)
        , queue_(count)
        , places_(count) {}

    /// A child's thread: keeps its outcome. give() follows when its frame is gone.
    void keep(std::size_t index, detail::task_promise<T>& child) noexcept {
        detail::settled_access::move_outcome(child, places_[index].outcome);
    }

    void give(std::size_t index) noexcept { queue_.push(places_[index]); }

    std::optional<completed<T>> take() {
        auto* const ended = static_cast<place*>(queue_.take());
        if (ended == nullptr) {
            return std::nullopt;
        }
        return completed<T>(static_cast<std::size_t>(ended - places_.data()),
                            std::move(ended->outcome));
    }

    detail::start_all_join* join_;
    detail::completed_queue queue_;
    std::vector<place> places_;
};

namespace detail {

template <class Body, class T>
concept takes_completions =
    requires { typename std::invoke_result_t<Body&, completions<T>&>::promise_type; };

}  // namespace detail

/// What `co_await as_completed(tasks, body)` waits in; the result form hides the stop.
///
/// The body is the first child of the join, but follows the stop state of the awaiting coroutine:
/// its end stops the others, their stop is not its own.
template <bool ResultForm, class T, class Body>
class [[nodiscard]] as_completed_operation : private detail::start_all_join {
    using value_type = typename std::invoke_result_t<Body&, completions<T>&>::value_type;
    using body_task = task<value_type>;

public:
    as_completed_operation(std::vector<task<T>>&& children, Body body)
        : start_all_join(&settle)
        , results_(*this, children.size())
        , children_(std::move(children))
        , body_(std::move(body)) {}

    [[nodiscard]] bool await_ready() const noexcept { return false; }

    template <std::derived_from<detail::promise_base> Promise>
    [[nodiscard]] std::coroutine_handle<> await_suspend(
        std::coroutine_handle<Promise> parent) noexcept {
        if constexpr (ResultForm) {
            tell_when_stopped();
        }
        if (parent.promise().stop().stop_requested()) [[unlikely]] {
            return start(parent.promise(), "as_completed");  // of nothing: there is no child yet
        }
        try {
            running_ = body_(results_);
        } catch (...) {
            detail::settled_access::fail(ended_, std::current_exception());
            return parent;  // nothing has started
        }
        for (std::size_t i = children_.size(); i-- != 0;) {
            add_front(detail::promise_of(children_[i]));
        }
        detail::promise_base& body = detail::promise_of(running_);
        add_front(body);
        body.context_ = parent.promise().context_;
        return start(parent.promise(), "as_completed");
    }

    std::conditional_t<ResultForm, result<value_type>, value_type> await_resume() {
        if constexpr (ResultForm) {
            return detail::result_of(std::move(ended_));
        } else {
            return std::move(ended_).value();
        }
    }

[[nodiscard]] as_completed_operation<true, T, Body> as_result() &&
    requires(!ResultForm) {
        return as_completed_operation<true, T, Body>(std::move(children_), std::move(body_));
    }

    private : static stop_kind settle(start_all_join& base, detail::promise_base& child) noexcept {
        auto& self = static_cast<as_completed_operation&>(base);
        if (child.child_index_ == 0) {
            return self.body_ended(static_cast<typename body_task::promise_type&>(child));
        }
        std::size_t const index = child.child_index_ - 1;
        self.results_.keep(index, static_cast<detail::task_promise<T>&>(child));
        self.children_[index] = {};  // keeps I3 of start_all_join: before anybody is told
        self.results_.give(index);
        return stop_kind::none;
    }

    stop_kind body_ended(typename body_task::promise_type& body) noexcept {
        if (body.outcome_ != detail::outcome::stopped) {
            (void)claim();
        }
        bool const failed = body.outcome_ == detail::outcome::error;
        detail::settled_access::move_outcome(body, ended_);
        running_ = {};
        return failed ? stop_kind::sibling_failed : stop_kind::sibling_finished;
    }

    completions<T> results_;
    std::vector<task<T>> children_;
    Body body_;
    body_task running_;
    settled<value_type> ended_;
};

/// Runs tasks concurrently, and `body` beside them, which gets their outcomes in the order in which
/// they end. Yields the body's value when all of them have ended.
///
///     auto sum = [](weft::completions<int>& results) -> weft::task<int> {
///         int total = 0;
///         while (auto each = co_await results.next()) {
///             total += each->value();
///         }
///         co_return total;
///     };
///     int const total = co_await weft::as_completed(std::move(tasks), sum);
///
/// A task that fails stops nobody; the body decides what its error means. When the body ends, in
/// whatever way, the tasks that still run are stopped and waited for; outcomes that it has not
/// taken are destroyed.
///
/// Thread safety: awaited in one coroutine of a runtime; children run on any worker.
/// Cancellation: a stop of the awaiting task stops the body and every child, and every one is
///     waited for. If the body ends with a value or an error all the same, that is the outcome;
///     else the task unwinds.
/// Lifetime: the body and what it captures live until the await ends. What the children refer to
///     must outlive the await.
/// Resumption: where the last child, or the body, ended.
/// Complexity: O(1) per child; allocates once, besides the frames.
/// Errors: the body's.
/// Example: examples/parallel_fetch.cpp
template <detail::range_to_await Range, class Body>
[[nodiscard]] auto as_completed(Range&& children, Body body) {
    using child = typename detail::range_tasks<Range>::value_type;
    if constexpr (detail::takes_completions<Body, child>) {
        return as_completed_operation<false, child, Body>(
            detail::range_tasks<Range>::take(static_cast<Range&&>(children)), std::move(body));
    } else {
        static_assert(detail::never<Body>,
                      "the body of as_completed takes a completions<T>& and gives a task");
        return task<>();
    }
}

namespace detail {

template <std::size_t I, class Variant, class T>
[[nodiscard]] task<Variant> as_alternative(task<T> child) {
    if constexpr (std::is_void_v<T>) {
        co_await std::move(child);
        co_return Variant(std::in_place_index<I>);
    } else {
        co_return Variant(std::in_place_index<I>, as_object<T>(co_await std::move(child)));
    }
}

template <class Variant, std::size_t... I, class... T>
[[nodiscard]] std::vector<task<Variant>> as_alternatives(std::index_sequence<I...>,
                                                         std::tuple<task<T>...>& children) {
    std::vector<task<Variant>> same;
    same.reserve(sizeof...(T));
    (same.push_back(as_alternative<I, Variant>(std::move(std::get<I>(children)))), ...);
    return same;
}

}  // namespace detail

/// The same for a few tasks of different types: the body gets completions of a std::variant, whose
/// index() is the task's number; `unit` stands for void. Takes one frame more for each task.
template <class... T, class Body>
    requires(sizeof...(T) > 0)
[[nodiscard]] auto as_completed(std::tuple<task<T>...> children, Body body) {
    using variant = std::variant<detail::object_t<detail::join_value_t<T>>...>;
    return as_completed_operation<false, variant, Body>(
        detail::as_alternatives<variant>(std::index_sequence_for<T...>{}, children),
        std::move(body));
}

/// The same for other things to await in a tuple; see when_all.
template <class... Work, class Body>
    requires(sizeof...(Work) > 0)
[[nodiscard]] auto as_completed(std::tuple<Work...> children, Body body) {
    auto tasks = std::apply(
        [](Work&... each) { return std::tuple(detail::as_task(static_cast<Work&&>(each))...); },
        children);
    return as_completed(std::move(tasks), std::move(body));
}

}  // namespace weft
