#pragma once

/// The joins of tasks that stand in a row, and where their values go. See when_all_range.hpp.

#include <weft/runtime/base/reference.hpp>
#include <weft/runtime/join/detail/fork_join.hpp>
#include <weft/runtime/join/detail/join_values.hpp>
#include <weft/runtime/task/task.hpp>

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <new>
#include <type_traits>
#include <utility>
#include <vector>

namespace weft {

namespace detail {

/// Where the values of tasks in a row go: into objects that exist. place(i) also identifies child
/// i.
template <class T>
struct into_objects {
    static constexpr bool is_handed_over = std::is_trivially_copyable_v<T>;

    T* first;

    [[nodiscard]] void* place(std::size_t index) const noexcept { return first + index; }

    [[nodiscard]] std::size_t index_of(void* place) const noexcept {
        return static_cast<std::size_t>(static_cast<T*>(place) - first);
    }

    void put(std::size_t index, task_promise<T>& child) const
        noexcept(is_handed_over || std::is_nothrow_move_assignable_v<T>) {
        if constexpr (is_handed_over) {
            ::new (place(index)) T(child.take_value());
        } else {
            first[index] = child.take_value();
        }
    }

    static void ended(std::size_t) noexcept {}
};

template <class T>
struct marked_slot : outcome_slot<T> {
    bool has_value = false;

    ~marked_slot() {
        if (has_value) {
            this->end();
        }
    }
};

template <class T>
struct into_slots {
    static constexpr bool is_handed_over = outcome_slot<T>::moves_without_throwing;

    marked_slot<T>* first;

    [[nodiscard]] void* place(std::size_t index) const noexcept { return first[index].place(); }

    [[nodiscard]] std::size_t index_of(void* place) const noexcept {
        auto const distance =
            reinterpret_cast<std::uintptr_t>(place) - reinterpret_cast<std::uintptr_t>(first);
        return distance / sizeof(marked_slot<T>);
    }

    void put(std::size_t index, task_promise<T>& child) const noexcept(is_handed_over) {
        first[index].put(child);
        first[index].has_value = true;
    }

    void ended(std::size_t index) const noexcept { first[index].has_value = true; }
};

/// There is none.
struct into_nothing {
    static constexpr bool is_handed_over = true;

    task<>* first;

    [[nodiscard]] void* place(std::size_t index) const noexcept { return first + index; }

    [[nodiscard]] std::size_t index_of(void* place) const noexcept {
        return static_cast<std::size_t>(static_cast<task<>*>(place) - first);
    }

    static void put(std::size_t, task_promise<void>&) noexcept {}

    static void ended(std::size_t) noexcept {}
};

/// A join of tasks that stand in a row. `Operation` has `row()`, which gives these.
template <class T, class Results>
struct row_of_children {
    task<T>* children;
    std::size_t count;
    Results results;
};

template <class Operation, class T, class Results, bool HidesStop>
class join_of_row : public fork_join {
protected:
    using row_of_tasks = row_of_children<T, Results>;

    join_of_row() noexcept : fork_join(&child_done) {}

    ~join_of_row() = default;

    [[nodiscard]] bool run_row(void* parent) noexcept {
        row_of_tasks const row = operation().row();
        WEFT_CHECK(row.count <= count_max, "a join of too many children");
        return fork_join::run(parent, members{this, row});
    }

    /// After the join, or instead of it. Others may have looked at the tasks until now.
    void end_row() noexcept {
        row_of_tasks const row = operation().row();
        if (!went_smoothly<HidesStop>(row.count) && has_begun()) {
            for (std::size_t i = nested_count(row.count); i != row.count; ++i) {
                (void)task_access::release(row.children[i]);
            }
            clean_up();
        }
    }

private:
    struct members {
        join_of_row* owner;
        row_of_tasks row;

        static constexpr bool hides_stop = HidesStop;

        [[nodiscard]] fork_join& join() const noexcept { return *owner; }

        [[nodiscard]] std::size_t size() const noexcept { return row.count; }

        [[nodiscard]] promise_base& promise(std::size_t index) const noexcept {
            return task_access::promise(row.children[index]);
        }

        [[nodiscard]] promise_base& checked(std::size_t index) const noexcept {
            WEFT_CHECK(static_cast<bool>(row.children[index]),
                       "an empty task is awaited: a task can be awaited once");
            return promise(index);
        }

        [[nodiscard]] void* result(std::size_t index) const noexcept {
            return row.results.place(index);
        }

        [[nodiscard]] static constexpr bool keeps(std::size_t) noexcept {
            return !Results::is_handed_over;
        }

        [[nodiscard]] members relocated() const noexcept { return *this; }

        void ended(std::size_t index) const noexcept {
            row.results.ended(index);
            (void)task_access::release(row.children[index]);
        }
    };

    struct into_results {
        Results const& results;
        std::size_t index;

        void operator()(task_promise<T>& child) const
            noexcept(noexcept(results.put(index, child))) {
            results.put(index, child);
        }
    };

    [[nodiscard]] Operation& operation() noexcept { return static_cast<Operation&>(*this); }

    static std::coroutine_handle<> child_done(end_hook& base, promise_base& child) noexcept {
        return static_cast<join_of_row&>(base).end_child(child, &settle);
    }

    static outcome settle(fork_join& base, promise_base& child) noexcept {
        row_of_tasks const row = static_cast<join_of_row&>(base).operation().row();
        std::size_t const index = row.results.index_of(child.result_);
        return settle_child<T, fork_join>(base, child, index, into_results{row.results, index});
    }
};

/// What a join for a vector delivers into.
template <class T>
class values_of_row {
public:
    using results = into_slots<T>;
    using values = std::vector<object_t<T>>;

    explicit values_of_row(std::size_t count) : slots_(count) {}

    [[nodiscard]] results into(task<T>*) noexcept { return {slots_.data()}; }

    [[nodiscard]] values take() {
        values taken;
        taken.reserve(slots_.size());
        for (marked_slot<T>& each : slots_) {
            taken.push_back(as_object<T>(each.take()));
        }
        return taken;
    }

private:
    std::vector<marked_slot<T>> slots_;
};

template <class T>
concept joins_in_place = !std::is_same_v<T, bool> && std::is_trivially_copyable_v<T> &&
                         std::is_default_constructible_v<T>;

template <joins_in_place T>
class values_of_row<T> {
public:
    using results = into_objects<T>;
    using values = std::vector<T>;

    explicit values_of_row(std::size_t count) : values_(count) {}

    [[nodiscard]] results into(task<T>*) noexcept { return {values_.data()}; }

    [[nodiscard]] values take() noexcept { return std::move(values_); }

private:
    values values_;
};

template <>
class values_of_row<void> {
public:
    using results = into_nothing;
    using values = void;

    explicit values_of_row(std::size_t) noexcept {}

    [[nodiscard]] static results into(task<>* children) noexcept { return {children}; }

    static void take() noexcept {}
};

template <class T>
struct results_of_span {
    using type = into_objects<T>;
};

template <>
struct results_of_span<void> {
    using type = into_nothing;
};

}  // namespace detail

}  // namespace weft
