#pragma once

/// when_all for a number of tasks known at run time. See when_all.hpp.

#include <weft/runtime/base/argument.hpp>
#include <weft/runtime/join/detail/as_tasks.hpp>
#include <weft/runtime/join/detail/join_row.hpp>
#include <weft/runtime/join/detail/join_values.hpp>
#include <weft/runtime/sched/pass_stop.hpp>
#include <weft/runtime/task/task.hpp>
#include <weft/runtime/values/result.hpp>

#include <concepts>
#include <coroutine>
#include <cstddef>
#include <new>
#include <span>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

namespace weft {

/// What `co_await when_all(vector)` waits in; the result form yields a `result`.
template <bool ResultForm, class T>
class [[nodiscard]] when_all_range_operation
    : private detail::join_of_row<when_all_range_operation<ResultForm, T>,
                                  T,
                                  typename detail::values_of_row<T>::results,
                                  ResultForm> {
    using base = detail::join_of_row<when_all_range_operation,
                                     T,
                                     typename detail::values_of_row<T>::results,
                                     ResultForm>;
    using values = typename detail::values_of_row<T>::values;

    friend base;

public:
    explicit when_all_range_operation(std::vector<task<T>>&& children)
        : children_(std::move(children))
        , values_(children_.size()) {}

    when_all_range_operation(when_all_range_operation const&) = delete;
    when_all_range_operation& operator=(when_all_range_operation const&) = delete;

    ~when_all_range_operation() { this->end_row(); }

    [[nodiscard]] bool await_ready() const noexcept {
        return children_.empty() && detail::spend_budget();
    }

    template <std::derived_from<detail::promise_base> Promise>
    [[nodiscard]] bool await_suspend(std::coroutine_handle<Promise> parent) noexcept {
        if (children_.empty()) [[unlikely]] {
            return detail::wait_a_turn(parent.promise());
        }
        return this->run_row(parent.address());
    }

    std::conditional_t<ResultForm, result<values>, values> await_resume() {
        if constexpr (ResultForm) {
            if (std::error_code const code = detail::code_of_join<detail::fork_join>(*this)) {
                return failure(code);
            }
            if constexpr (std::is_void_v<values>) {
                return {};
            } else {
                return values_.take();
            }
        } else {
            this->rethrow_error();
            return values_.take();
        }
    }

[[nodiscard]] when_all_range_operation<true, T> as_result() &&
    requires(!ResultForm) { return when_all_range_operation<true, T>(std::move(children_)); }

    private : [[nodiscard]] typename base::row_of_tasks row() noexcept {
        return {children_.data(), children_.size(), values_.into(children_.data())};
    }

    std::vector<task<T>> children_;
    detail::values_of_row<T> values_;
};

/// What `co_await when_all(span, span)` waits in; the result form yields a `result<>`.
template <bool ResultForm, class T>
class [[nodiscard]] when_all_span_operation
    : private detail::join_of_row<when_all_span_operation<ResultForm, T>,
                                  T,
                                  typename detail::results_of_span<T>::type,
                                  ResultForm> {
    using base = detail::join_of_row<when_all_span_operation,
                                     T,
                                     typename detail::results_of_span<T>::type,
                                     ResultForm>;
    using value_type = detail::join_value_t<T>;

    friend base;

public:
    when_all_span_operation(std::span<task<T>> children, std::span<value_type> results) noexcept
        : children_(children)
        , results_(results) {
        WEFT_CHECK(std::is_void_v<T> || results.size() >= children.size(),
                   "when_all is given fewer results than tasks");
    }

    when_all_span_operation(when_all_span_operation const&) = delete;
    when_all_span_operation& operator=(when_all_span_operation const&) = delete;

    ~when_all_span_operation() { this->end_row(); }

    [[nodiscard]] bool await_ready() const noexcept {
        return children_.empty() && detail::spend_budget();
    }

    template <std::derived_from<detail::promise_base> Promise>
    [[nodiscard]] bool await_suspend(std::coroutine_handle<Promise> parent) noexcept {
        if (children_.empty()) [[unlikely]] {
            return detail::wait_a_turn(parent.promise());
        }
        return this->run_row(parent.address());
    }

    std::conditional_t<ResultForm, result<void>, void> await_resume() {
        if constexpr (ResultForm) {
            if (std::error_code const code = detail::code_of_join<detail::fork_join>(*this)) {
                return failure(code);
            }
            return {};
        } else {
            this->rethrow_error();
        }
    }

    [[nodiscard]] when_all_span_operation<true, T> as_result() && noexcept
        requires(!ResultForm)
    {
        return when_all_span_operation<true, T>(children_, results_);
    }

private:
    [[nodiscard]] typename base::row_of_tasks row() noexcept {
        if constexpr (std::is_void_v<T>) {
            return {children_.data(), children_.size(), {children_.data()}};
        } else {
            return {children_.data(), children_.size(), {results_.data()}};
        }
    }

    std::span<task<T>> children_;
    std::span<value_type> results_;
};

/// A row of up to `Capacity` tasks, for a join that allocates nothing:
///
///     weft::inline_tasks<long, 16> children;
///     std::array<long, 16> results;
///     …  children.push_back(work(i));
///     co_await weft::when_all(children.tasks(), std::span(results));
///
/// Thread safety: belongs to one thread at a time.
/// Lifetime: must outlive the join.
/// Complexity: O(1); what is not used costs nothing.
/// Errors: std::invalid_argument for a task too many, which is destroyed.
/// Example: examples/parallel_sum.cpp
template <class T, std::size_t Capacity>
class inline_tasks {
public:
    inline_tasks() noexcept {}

    inline_tasks(inline_tasks const&) = delete;
    inline_tasks& operator=(inline_tasks const&) = delete;

    ~inline_tasks() {
        while (size_ != 0) {
            storage_.tasks[--size_].~task();
        }
    }

    void push_back(task<T> child) {
        detail::check_argument(size_ != Capacity, "a inline_tasks is full");
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

/// The same for a range of tasks, or of other things to await. Yields a vector of the values in the
/// order of the tasks, of pointers for references, or nothing for task<void>; allocates for the
/// values, and for the tasks unless they stand in a vector. An empty range is complete at once.
///
/// A container that is given away, and a view, give their tasks away. Handles and other things to
/// await stay in an lvalue container, or behind a view, and are referred to: `when_all(handles)`.
template <detail::range_to_await Range>
[[nodiscard]] auto when_all(Range&& children) {
    using operation =
        when_all_range_operation<false, typename detail::range_tasks<Range>::value_type>;
    return operation(detail::range_tasks<Range>::take(static_cast<Range&&>(children)));
}

/// The same for tasks that stand in a row of the caller's: each value goes over what is in
/// `results` when its child ends, whatever becomes of the others. `results` has room for as many;
/// allocates nothing. Afterwards the tasks are empty.
template <class T, std::size_t Size, std::size_t Room>
    requires(!std::is_void_v<T> && !std::is_reference_v<T>)
[[nodiscard]] when_all_span_operation<false, T> when_all(std::span<task<T>, Size> children,
                                                         std::span<T, Room> results) noexcept {
    return when_all_span_operation<false, T>(children, results);
}

[[nodiscard]] inline when_all_span_operation<false, void> when_all(
    std::span<task<>> children) noexcept {
    return when_all_span_operation<false, void>(children, std::span<unit>());
}

}  // namespace weft
