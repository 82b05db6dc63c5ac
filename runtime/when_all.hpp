#pragma once

/// The fork-join primitive. How it works: join_state.hpp.

#include <weft/runtime/join_state.hpp>
#include <weft/runtime/join_values.hpp>
#include <weft/runtime/task.hpp>
#include <weft/runtime/when_all_range.hpp>

#include <concepts>
#include <cstddef>
#include <tuple>
#include <utility>

namespace weft {

template <class... T>
class [[nodiscard]] when_all_operation {
    using positions = std::index_sequence_for<T...>;
    static constexpr std::size_t count = sizeof...(T);

public:
    explicit when_all_operation(task<T>&&... children) noexcept
        : children_{&detail::task_access::release_promise(children)...} {}

    when_all_operation(when_all_operation const&) = delete;
    when_all_operation& operator=(when_all_operation const&) = delete;

    ~when_all_operation() {
        if (join_.went_smoothly(count)) [[likely]] {
            end_children(positions{}, count);
        } else {
            clean_up();
        }
    }

    [[nodiscard]] bool await_ready() const noexcept { return false; }

    template <std::derived_from<detail::promise_base> Promise>
    [[nodiscard]] bool await_suspend(std::coroutine_handle<Promise> parent) noexcept {
        return detail::join_state::run(parent.address(), members{this});
    }

    std::tuple<detail::join_value_t<T>...> await_resume() {
        std::size_t const nested = join_.went_smoothly(count) ? count : look_back(positions{});
        return values(positions{}, nested);
    }

private:
    /// The children as join_state::run() wants them.
    struct members {
        when_all_operation* self;

        [[nodiscard]] detail::join_state& join() const noexcept { return self->join_; }

        static constexpr std::size_t size() noexcept { return count; }

        [[nodiscard]] detail::promise_base& promise(std::size_t index) const noexcept {
            return *self->children_[index];
        }

        [[nodiscard]] detail::promise_base& checked(std::size_t index) const noexcept {
            return promise(index);
        }

        [[nodiscard]] void* result(std::size_t index) const noexcept {
            return place(positions{}, index);
        }

        [[nodiscard]] static constexpr bool keeps(std::size_t index) noexcept {
            constexpr bool each[] = {!detail::result_slot<T>::is_used...};
            return each[index];
        }

        static void ended(std::size_t) noexcept {}

    private:
        template <std::size_t... I>
        WEFT_ALWAYS_INLINE void* place(std::index_sequence<I...>,
                                       std::size_t index) const noexcept {
            void* found = nullptr;
            ((index == I ? found = std::get<I>(self->slots_).place() : nullptr), ...);
            return found;
        }
    };

    template <std::size_t I>
    using type = std::tuple_element_t<I, std::tuple<task<T>...>>::value_type;

    /// Rethrows the first error; how many children were nested.
    template <std::size_t... I>
    [[nodiscard]] WEFT_COLD std::size_t look_back(std::index_sequence<I...>) {
        std::size_t const nested = join_.nested_count(count);
        ((I < nested ? void() : detail::rethrow_error<T>(*children_[I])), ...);
        return nested;
    }

    template <std::size_t... I>
    WEFT_ALWAYS_INLINE std::tuple<detail::join_value_t<T>...> values(std::index_sequence<I...>,
                                                                     std::size_t nested) {
        return {take<I>(nested)...};
    }

    template <std::size_t I>
    WEFT_ALWAYS_INLINE detail::join_value_t<type<I>> take(std::size_t nested) {
        if constexpr (detail::result_slot<type<I>>::is_used) {
            if (I < nested) [[likely]] {
                return std::get<I>(slots_).take();
            }
        }
        return detail::take_value<type<I>>(*children_[I]);
    }

    template <std::size_t... I>
    WEFT_ALWAYS_INLINE void end_children(std::index_sequence<I...>, std::size_t nested) noexcept {
        (end<I>(nested), ...);
    }

    template <std::size_t I>
    WEFT_ALWAYS_INLINE void end(std::size_t nested) noexcept {
        if constexpr (detail::result_slot<type<I>>::is_used) {
            if (I < nested) [[likely]] {
                std::get<I>(slots_).end();
                return;
            }
        }
        children_[I]->handle().destroy();
    }

    WEFT_COLD WEFT_SPARES_REGISTERS void clean_up() noexcept {
        end_children(positions{}, join_.nested_count(count));
        join_.destroy_context();
    }

    detail::promise_base* children_[count];
    detail::join_state join_;
    std::tuple<detail::result_slot<T>...> slots_;
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
///     do. A child's frame, with its parameters, may be gone as soon as the child has ended.
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

}  // namespace weft
