#pragma once

/// when_all for a number of tasks known at run time. See when_all.hpp.

#include <weft/runtime/join_state.hpp>
#include <weft/runtime/join_values.hpp>
#include <weft/runtime/task.hpp>

#include <concepts>
#include <cstddef>
#include <new>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

namespace weft {

namespace detail {

/// A join of tasks that stand in a row.
template <class T>
class row_of_children {
    /// Values that a nested child may put over one that is there.
    static constexpr bool in_place =
        std::is_trivially_copyable_v<join_value_t<T>> && !std::is_reference_v<T>;

public:
    using value_type = join_value_t<T>;

    static constexpr bool fills_results = in_place && !std::is_void_v<T>;

    row_of_children() noexcept = default;
    row_of_children(row_of_children const&) = delete;
    row_of_children& operator=(row_of_children const&) = delete;

    ~row_of_children() { join_.destroy_context(); }

    [[nodiscard]] bool run(void* parent,
                           task<T>* children,
                           std::size_t count,
                           value_type* results) noexcept {
        WEFT_CHECK(count <= join_state::count_max, "a join of too many children");
        return join_state::run(parent, members{&join_, children, count, results});
    }

    [[nodiscard]] bool went_smoothly(std::size_t count) const noexcept {
        return in_place && join_.went_smoothly(count);
    }

    /// After the join: gives each value that is not in `results` to `put(index, value)`.
    template <class Put>
    void finish(task<T>* children, std::size_t count, Put put) {
        if (went_smoothly(count)) [[likely]] {
            return;
        }
        for (std::size_t i = 0; i != count; ++i) {
            if (children[i]) {
                rethrow_error<T>(task_access::promise(children[i]));
            }
        }
        for (std::size_t i = 0; i != count; ++i) {
            if (children[i]) {
                if constexpr (!std::is_void_v<T>) {
                    put(i, take_value<T>(task_access::promise(children[i])));
                }
            }
        }
    }

private:
    struct members {
        join_state* owner;
        task<T>* children;
        std::size_t count;
        value_type* results;

        [[nodiscard]] join_state& join() const noexcept { return *owner; }

        [[nodiscard]] std::size_t size() const noexcept { return count; }

        [[nodiscard]] promise_base& promise(std::size_t index) const noexcept {
            return task_access::promise(children[index]);
        }

        [[nodiscard]] promise_base& checked(std::size_t index) const noexcept {
            WEFT_CHECK(static_cast<bool>(children[index]),
                       "an empty task is awaited: a task can be awaited once");
            return promise(index);
        }

        [[nodiscard]] void* result(std::size_t index) const noexcept {
            return fills_results ? results + index : nullptr;
        }

        [[nodiscard]] static constexpr bool keeps(std::size_t) noexcept { return !in_place; }

        void ended(std::size_t index) const noexcept {
            if constexpr (in_place) {
                (void)task_access::release(children[index]);
            }
        }
    };

    join_state join_;
};

}  // namespace detail

template <class T>
class [[nodiscard]] when_all_range_operation {
public:
    explicit when_all_range_operation(std::vector<task<T>> children)
        : children_(std::move(children)) {
        if constexpr (fills) {
            values_.resize(children_.size());
        }
    }

    when_all_range_operation(when_all_range_operation const&) = delete;
    when_all_range_operation& operator=(when_all_range_operation const&) = delete;

    [[nodiscard]] bool await_ready() const noexcept { return children_.empty(); }

    template <std::derived_from<detail::promise_base> Promise>
    [[nodiscard]] bool await_suspend(std::coroutine_handle<Promise> parent) noexcept {
        if constexpr (fills) {
            return join_.run(parent.address(), children_.data(), children_.size(), values_.data());
        } else {
            return join_.run(parent.address(), children_.data(), children_.size(), nullptr);
        }
    }

    auto await_resume() {
        std::size_t const count = children_.size();
        if constexpr (std::is_void_v<T>) {
            join_.finish(children_.data(), count, [](std::size_t, unit) noexcept {});
        } else {
            if constexpr (!fills) {
                values_.reserve(count);
            }
            join_.finish(children_.data(), count, [this](std::size_t index, T&& value) {
                if constexpr (fills) {
                    values_[index] = value;
                } else {
                    values_.push_back(std::forward<T>(value));
                }
            });
            return std::move(values_);
        }
    }

private:
    static constexpr bool fills = detail::row_of_children<T>::fills_results &&
                                  std::is_default_constructible_v<T> && !std::is_same_v<T, bool>;

    detail::row_of_children<T> join_;  // outlives the children: what stopped in them refers to it
    std::vector<task<T>> children_;
    std::vector<detail::join_value_t<T>> values_;
};

template <class T>
class [[nodiscard]] when_all_span_operation {
    using value_type = detail::join_value_t<T>;

public:
    when_all_span_operation(std::span<task<T>> children, std::span<value_type> results) noexcept
        : children_(children)
        , results_(results) {
        WEFT_CHECK(std::is_void_v<T> || results.size() >= children.size(),
                   "when_all is given fewer results than tasks");
    }

    when_all_span_operation(when_all_span_operation const&) = delete;
    when_all_span_operation& operator=(when_all_span_operation const&) = delete;

    [[nodiscard]] bool await_ready() const noexcept { return children_.empty(); }

    template <std::derived_from<detail::promise_base> Promise>
    [[nodiscard]] bool await_suspend(std::coroutine_handle<Promise> parent) noexcept {
        return join_.run(parent.address(), children_.data(), children_.size(), results_.data());
    }

    void await_resume() {
        value_type* const results = results_.data();
        join_.finish(
            children_.data(), children_.size(), [results](std::size_t index, value_type&& value) {
                results[index] = std::move(value);
            });
    }

    ~when_all_span_operation() {
        if (!join_.went_smoothly(children_.size())) {
            for (task<T>& each : children_) {
                each = task<T>();
            }
        }
    }

private:
    detail::row_of_children<T> join_;
    std::span<task<T>> children_;
    std::span<value_type> results_;
};

/// A row of up to `Capacity` tasks, for a join that allocates nothing:
///
///     weft::task_list<long, 16> children;
///     std::array<long, 16> results;
///     …  children.push_back(work(i));
///     co_await weft::when_all(children.tasks(), std::span(results));
///
/// Thread safety: belongs to one thread at a time.
/// Lifetime: must outlive the join.
/// Complexity: O(1); what is not used costs nothing.
/// Errors: a task too many aborts.
/// Example: examples/parallel_sum.cpp
template <class T, std::size_t Capacity>
class task_list {
public:
    task_list() noexcept {}

    task_list(task_list const&) = delete;
    task_list& operator=(task_list const&) = delete;

    ~task_list() {
        while (size_ != 0) {
            storage_.tasks[--size_].~task();
        }
    }

    void push_back(task<T> child) noexcept {
        WEFT_CHECK(size_ != Capacity, "a task_list is full");
        ::new (static_cast<void*>(&storage_.tasks[size_])) task<T>(std::move(child));
        ++size_;
    }

    [[nodiscard]] std::size_t size() const noexcept { return size_; }

    [[nodiscard]] std::span<task<T>> tasks() noexcept { return {storage_.tasks, size_}; }

private:
    union storage {
        storage() noexcept {}

        ~storage() {}

        task<T> tasks[Capacity];
    };

    std::size_t size_ = 0;
    storage storage_;
};

/// The same for a number of tasks known at run time. Yields a vector of the values in the order of
/// the tasks, or nothing for task<void>. An empty range is complete at once.
template <class T>
[[nodiscard]] when_all_range_operation<T> when_all(std::vector<task<T>> children) {
    return when_all_range_operation<T>(std::move(children));
}

/// The same for tasks that stand in a row of the caller's: writes the values to `results`, which
/// has room for as many, and allocates nothing. Afterwards the tasks are empty.
template <class T, std::size_t Size, std::size_t Room>
    requires(!std::is_void_v<T> && !std::is_reference_v<T>)
[[nodiscard]] when_all_span_operation<T> when_all(std::span<task<T>, Size> children,
                                                  std::span<T, Room> results) noexcept {
    return when_all_span_operation<T>(children, results);
}

[[nodiscard]] inline when_all_span_operation<void> when_all(std::span<task<>> children) noexcept {
    return when_all_span_operation<void>(children, std::span<unit>());
}

}  // namespace weft
