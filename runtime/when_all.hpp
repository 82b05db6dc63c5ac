#pragma once

/// The fork-join primitive.
///
/// Protocol of a join of N children. The awaiting coroutine offers children N-1 … 1 to thieves on
/// its worker's fork deque and runs child 0 itself. A *chain* is one thread of control that runs
/// children one after the other.
///   child i ends: the chain counts it (`carried_` + 1). Is child i+1, its `sibling_`, still the
///   youngest fork of this worker? Then the chain claims it and goes on there, passing the count
///   along. Else the chain ends:
///       count = N:  nobody else ever took part; resume the parent
///       otherwise:  remaining_ -= count; whoever brings it to 0 resumes the parent
/// I1 While nothing is stolen, one chain runs all children: no atomic read-modify-write, no lock,
///    and no allocation besides the children's frames.
/// I2 A child is claimed exactly once: by the deque's pop or by its steal.
/// I3 The subtraction is the chain's last access to the join unless it reached 0. Results are
///    written before it (release) and read after it (acquire).
/// I4 A failing child stops its siblings through the join's own stop state; all children are always
///    awaited.

#include <weft/runtime/task.hpp>
#include <weft/runtime/worker.hpp>

#include <concepts>
#include <cstddef>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace weft {

/// Stands for the result of a task<void> where a value is needed.
struct unit {
    friend bool operator==(unit, unit) noexcept { return true; }
};

namespace detail {

/// The part of a join that does not depend on the children's types.
class join_state : public completion {
public:
    join_state() noexcept : completion(&child_done) {}

    join_state(join_state const&) = delete;
    join_state& operator=(join_state const&) = delete;

    /// Makes `child` one of the children, in front of those added before.
    WEFT_ALWAYS_INLINE void add_front(promise_base& child) noexcept {
        child.context_ = &context_;
        child.completion_ = this;
        child.sibling_ = first_;
        first_ = &child;
    }

    /// After the last add_front(): offers the children to thieves, `child(count - 1)` first, so
    /// that the chain finds its next one youngest, and gives what runs now. Without memory for the
    /// deque the process ends.
    template <class Count, class Child>
    [[nodiscard]] WEFT_NOINLINE std::coroutine_handle<> fork(promise_base& parent,
                                                             Count count,
                                                             Child child) noexcept {
        context_.follow(*parent.context_);
        parent_ = &parent;
        count_ = count;
        // relaxed: own — published with the children
        remaining_.store(count, relaxed);
        worker* const here = this_threads_worker;
        if (here == nullptr) [[unlikely]] {
            require_no_pool();
            return first_->handle();  // the chain claims without asking
        }
        for (std::uint32_t i = count; --i != 0;) {
            here->push_fork(child(i));
        }
        here->announce_forks();
        if (!here->spend_fork()) [[unlikely]] {
            here->push_fork(*first_);
            return std::noop_coroutine();
        }
        return first_->handle();
    }

    /// After the join: a child failed, or was stopped.
    [[nodiscard]] bool is_unhappy() const noexcept {
        // relaxed: observe — ordered by the count, or written by this thread (I3)
        return unhappy_.load(relaxed);
    }

private:
    static std::coroutine_handle<> child_done(completion& base, promise_base& child) noexcept;
    WEFT_COLD void require_no_pool() const noexcept;
    [[nodiscard]] WEFT_COLD std::coroutine_handle<> unhappy_child_done(
        promise_base& child) noexcept;
    [[nodiscard]] WEFT_COLD std::coroutine_handle<> settle(promise_base& child) noexcept;
    [[nodiscard]] WEFT_COLD std::coroutine_handle<> go_on(promise_base& child,
                                                          bool claimed) noexcept;

    /// Tells the parent: as stopped if nothing failed but the stop.
    [[nodiscard]] WEFT_COLD std::coroutine_handle<> finish_unhappy() noexcept;

    // --- constant after fork() -----------------------------------------------------
    stop_context context_;
    promise_base* parent_ = nullptr;
    promise_base* first_ = nullptr;
    std::uint32_t count_ = 0;

    // --- any thread, atomic (see Protocol) ---------------------------------------
    /// Written by the chains that end.
    atomic<std::uint32_t> remaining_{0};
    /// Written by children that failed or stopped, read by the last one.
    atomic<bool> unhappy_{false};
};

template <class T>
using join_value_t = std::conditional_t<std::is_void_v<T>, unit, T>;

/// Requires: ended with a value.
template <class T>
[[nodiscard]] WEFT_ALWAYS_INLINE join_value_t<T> take_value(promise_base& child) {
    auto& finished = static_cast<task_promise<T>&>(child);
    if constexpr (std::is_void_v<T>) {
        (void)finished;
        return unit{};
    } else {
        return finished.take_value();
    }
}

/// Rethrows the child's error, if it failed.
template <class T>
void rethrow_error(promise_base& child) {
    if (child.outcome_ == outcome::error) {
        std::rethrow_exception(static_cast<task_promise<T>&>(child).error());
    }
}

}  // namespace detail

template <class... T>
class [[nodiscard]] when_all_operation {
    using positions = std::index_sequence_for<T...>;
    using child_count = std::integral_constant<std::uint32_t, sizeof...(T)>;

public:
    explicit when_all_operation(task<T>&&... children) noexcept
        : children_{&detail::task_access::release_promise(children)...} {}

    when_all_operation(when_all_operation const&) = delete;
    when_all_operation& operator=(when_all_operation const&) = delete;

    ~when_all_operation() {
        for (detail::promise_base* const each : children_) {
            each->handle().destroy();
        }
    }

    [[nodiscard]] bool await_ready() const noexcept { return false; }

    template <std::derived_from<detail::promise_base> Promise>
    [[nodiscard]] std::coroutine_handle<> await_suspend(
        std::coroutine_handle<Promise> parent) noexcept {
        for (std::size_t i = sizeof...(T); i-- != 0;) {
            join_.add_front(*children_[i]);
        }
        return join_.fork(parent.promise(), child_count{}, [this](std::size_t i) -> auto& {
            return *children_[i];
        });
    }

    std::tuple<detail::join_value_t<T>...> await_resume() { return values(positions{}); }

private:
    template <std::size_t... I>
    WEFT_ALWAYS_INLINE std::tuple<detail::join_value_t<T>...> values(std::index_sequence<I...>) {
        if (join_.is_unhappy()) [[unlikely]] {
            (detail::rethrow_error<T>(*children_[I]), ...);
        }
        return {detail::take_value<T>(*children_[I])...};
    }

    detail::promise_base* children_[sizeof...(T)];
    detail::join_state join_;
};

template <class T>
class [[nodiscard]] when_all_range_operation {
public:
    explicit when_all_range_operation(std::vector<task<T>> children)
        : children_(std::move(children)) {}

    when_all_range_operation(when_all_range_operation const&) = delete;
    when_all_range_operation& operator=(when_all_range_operation const&) = delete;

    [[nodiscard]] bool await_ready() const noexcept { return children_.empty(); }

    template <std::derived_from<detail::promise_base> Promise>
    [[nodiscard]] std::coroutine_handle<> await_suspend(
        std::coroutine_handle<Promise> parent) noexcept {
        for (std::size_t i = children_.size(); i-- != 0;) {
            WEFT_CHECK(static_cast<bool>(children_[i]),
                       "an empty task is awaited: a task can be awaited once");
            join_.add_front(detail::task_access::promise(children_[i]));
        }
        return join_.fork(parent.promise(),
                          static_cast<std::uint32_t>(children_.size()),
                          [this](std::size_t i) -> detail::promise_base& {
                              return detail::task_access::promise(children_[i]);
                          });
    }

    auto await_resume() {
        if (join_.is_unhappy()) [[unlikely]] {
            for (task<T>& child : children_) {
                detail::rethrow_error<T>(detail::task_access::promise(child));
            }
        }
        if constexpr (!std::is_void_v<T>) {
            std::vector<T> values;
            values.reserve(children_.size());
            for (task<T>& child : children_) {
                values.push_back(detail::take_value<T>(detail::task_access::promise(child)));
            }
            return values;
        }
    }

private:
    detail::join_state join_;  // outlives the children: what was stopped in them refers to it
    std::vector<task<T>> children_;
};

/// Runs tasks concurrently and waits for all of them. Yields a tuple of their values; `unit` stands
/// for void.
///
/// The children may run in parallel on other workers; while no worker is idle they run one after
/// the other on this one, at the cost of a call.
///
/// Thread safety: awaited in one coroutine; children run on any worker.
/// Cancellation: a stop of the awaiting task stops every child, and every child is waited for. If
///     one child fails, the others are stopped.
/// Lifetime: what the children refer to must outlive the await; locals of the awaiting coroutine
///     do.
/// Resumption: where the last child finished.
/// Complexity: no allocation besides the children's frames; no atomic read-modify-write while
///     nothing is stolen.
/// Errors: the error of the first failed child in argument order.
/// Example: examples/parallel_sum.cpp
template <class... T>
    requires(sizeof...(T) > 0)
[[nodiscard]] when_all_operation<T...> when_all(task<T>... children) noexcept {
    return when_all_operation<T...>(std::move(children)...);
}

/// The same for a number of tasks known at run time. Yields a vector of the values in the order of
/// the tasks, or nothing for task<void>. An empty range is complete at once.
template <class T>
[[nodiscard]] when_all_range_operation<T> when_all(std::vector<task<T>> children) {
    return when_all_range_operation<T>(std::move(children));
}

}  // namespace weft
