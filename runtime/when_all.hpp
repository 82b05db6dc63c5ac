#pragma once

/// The fork-join primitive.
///
/// Protocol of a join of N children. The awaiting coroutine offers children N-1 … 1 to thieves on
/// its worker's fork deque and runs child 0 itself. A *chain* is one thread of control that runs
/// children one after the other.
///   child i ends: the chain counts it (`carried_` + 1). Is child i+1 still the youngest fork of
///   this worker? Then the chain claims it and goes on there, passing the count along. Else the
///   chain ends:
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
    join_state(context const& parent, promise_base** children, std::size_t count) noexcept
        : completion(&child_done)
        , context_(parent)
        , children_(children)
        , count_(static_cast<std::uint32_t>(count))
        , remaining_(static_cast<std::uint32_t>(count)) {}

    join_state(join_state const&) = delete;
    join_state& operator=(join_state const&) = delete;

    /// Requires: children_ is filled and count > 0. Offers the children and gives what runs next.
    [[nodiscard]] WEFT_ALWAYS_INLINE std::coroutine_handle<> fork(promise_base& parent,
                                                                  std::uint32_t count) {
        for (std::uint32_t i = 0; i < count; ++i) {
            promise_base& child = *children_[i];
            child.context_ = &context_;
            child.parent_ = &parent;
            child.completion_ = this;
            child.index_ = i;
        }
        worker* const here = current_worker();
        if (here == nullptr) [[unlikely]] {
            return children_[0]->handle();  // no pool: the chain claims its children from the array
        }
        for (std::uint32_t i = count; --i != 0;) {
            here->push_fork(*children_[i]);
        }
        if (!here->spend_fork()) [[unlikely]] {
            here->push_fork(*children_[0]);
            return std::noop_coroutine();
        }
        return children_[0]->handle();
    }

private:
    static std::coroutine_handle<> child_done(completion& base, promise_base& child) noexcept {
        auto& self = static_cast<join_state&>(base);
        if (child.outcome_ != outcome::value) [[unlikely]] {
            self.note_unhappy();
        }
        std::uint32_t const next = child.index_ + 1;
        std::uint32_t const finished = child.carried_ + 1;
        if (next < self.count_ && self.claim(*self.children_[next])) [[likely]] {
            self.children_[next]->carried_ = finished;
            return self.children_[next]->handle();
        }
        promise_base& parent = *child.parent_;
        if (finished == self.count_) [[likely]] {
            return self.finish(parent);
        }
        // acq_rel: count — publish this chain's results and observe the others' when last (I3);
        // pairs with itself
        if (self.remaining_.fetch_sub(finished, acq_rel) != finished) {
            return std::noop_coroutine();
        }
        return self.finish(parent);
    }

    [[nodiscard]] bool claim(promise_base& sibling) noexcept {
        worker* const here = current_worker();
        return here == nullptr || here->pop_fork_if(sibling);
    }

    [[nodiscard]] std::coroutine_handle<> finish(promise_base& parent) noexcept {
        // relaxed: observe — ordered by the count, or written by this thread (I3)
        return unhappy_.load(relaxed) ? finish_unhappy(parent) : parent.handle();
    }

    WEFT_COLD void note_unhappy() noexcept;

    /// Tells the parent: as stopped if nothing failed but the stop.
    [[nodiscard]] WEFT_COLD std::coroutine_handle<> finish_unhappy(promise_base& parent) noexcept;

    // --- constant after construction -------------------------------------------
    stop_context context_;
    promise_base** children_;
    std::uint32_t count_;

    // --- any thread, atomic (see Protocol) ---------------------------------------
    /// Written by the chains that end.
    atomic<std::uint32_t> remaining_;
    /// Written by children that failed or stopped, read by the last one.
    atomic<bool> unhappy_{false};
};

template <class T>
using join_value_t = std::conditional_t<std::is_void_v<T>, unit, T>;

template <class T>
[[nodiscard]] join_value_t<T> take_value(task<T>& finished) {
    if constexpr (std::is_void_v<T>) {
        task_access::promise(finished).take();
        return unit{};
    } else {
        return task_access::promise(finished).take();
    }
}

/// Rethrows the first child's error, if any child failed.
template <class T>
void rethrow_error(task<T>& finished) {
    if (task_access::promise(finished).outcome_ == outcome::error) [[unlikely]] {
        std::rethrow_exception(task_access::promise(finished).error());
    }
}

}  // namespace detail

template <class... T>
class [[nodiscard]] when_all_operation {
public:
    explicit when_all_operation(task<T>... children) noexcept : children_(std::move(children)...) {}

    when_all_operation(when_all_operation const&) = delete;
    when_all_operation& operator=(when_all_operation const&) = delete;

    ~when_all_operation() {
        if (forked_) {
            std::destroy_at(&join_);
        }
    }

    [[nodiscard]] bool await_ready() const noexcept { return false; }

    template <std::derived_from<detail::promise_base> Promise>
    [[nodiscard]] std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> parent) {
        std::construct_at(&join_, *parent.promise().context_, promises_, sizeof...(T));
        forked_ = true;
        std::size_t i = 0;
        std::apply(
            [&](auto&... child) { ((promises_[i++] = &detail::task_access::promise(child)), ...); },
            children_);
        return join_.fork(parent.promise(), sizeof...(T));
    }

    std::tuple<detail::join_value_t<T>...> await_resume() {
        return std::apply(
            [](auto&... child) {
                (detail::rethrow_error(child), ...);
                return std::tuple<detail::join_value_t<T>...>{detail::take_value(child)...};
            },
            children_);
    }

private:
    std::tuple<task<T>...> children_;
    detail::promise_base* promises_[sizeof...(T)];

    union {
        detail::join_state join_;
    };

    bool forked_ = false;
};

template <class T>
class [[nodiscard]] when_all_range_operation {
public:
    explicit when_all_range_operation(std::vector<task<T>> children)
        : children_(std::move(children))
        , promises_(children_.size()) {}

    when_all_range_operation(when_all_range_operation const&) = delete;
    when_all_range_operation& operator=(when_all_range_operation const&) = delete;

    ~when_all_range_operation() {
        if (forked_) {
            std::destroy_at(&join_);
        }
    }

    [[nodiscard]] bool await_ready() const noexcept { return children_.empty(); }

    template <std::derived_from<detail::promise_base> Promise>
    [[nodiscard]] std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> parent) {
        std::construct_at(&join_, *parent.promise().context_, promises_.data(), promises_.size());
        forked_ = true;
        for (std::size_t i = 0; i < children_.size(); ++i) {
            promises_[i] = &detail::task_access::promise(children_[i]);
        }
        return join_.fork(parent.promise(), static_cast<std::uint32_t>(promises_.size()));
    }

    auto await_resume() {
        for (task<T>& child : children_) {
            detail::rethrow_error(child);
        }
        if constexpr (!std::is_void_v<T>) {
            std::vector<T> values;
            values.reserve(children_.size());
            for (task<T>& child : children_) {
                values.push_back(detail::take_value(child));
            }
            return values;
        }
    }

private:
    std::vector<task<T>> children_;
    std::vector<detail::promise_base*> promises_;

    union {
        detail::join_state join_;
    };

    bool forked_ = false;
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
