#pragma once

/// The fork-join primitive. How it works: fork_join.hpp.

#include <weft/runtime/join/detail/fork_join.hpp>
#include <weft/runtime/join/detail/join_values.hpp>
#include <weft/runtime/join/detail/when_all_range.hpp>
#include <weft/runtime/task/as_result.hpp>
#include <weft/runtime/task/call.hpp>
#include <weft/runtime/task/task.hpp>
#include <weft/runtime/values/result.hpp>

#include <concepts>
#include <coroutine>
#include <cstddef>
#include <system_error>
#include <tuple>
#include <type_traits>
#include <utility>

namespace weft {

/// What `co_await when_all(tasks...)` waits in; the result form yields a `result`.
template <bool ResultForm, class... T>
class [[nodiscard]] when_all_operation : private detail::fork_join {
    using positions = std::index_sequence_for<T...>;
    using values = std::tuple<detail::join_value_t<T>...>;
    static constexpr std::size_t count = sizeof...(T);

    template <bool, class...>
    friend class when_all_operation;

public:
    explicit when_all_operation(task<T>&&... children) noexcept
        : fork_join(&child_done)
        , children_{&detail::task_access::release_promise(children)...} {}

    when_all_operation(when_all_operation const&) = delete;
    when_all_operation& operator=(when_all_operation const&) = delete;

    ~when_all_operation() {
        if (went_smoothly<ResultForm>(count)) [[likely]] {
            end_values(positions{});
        } else {
            detail::late_address(*this)->end_what_is_left();
        }
    }

    [[nodiscard]] bool await_ready() const noexcept { return false; }

    template <std::derived_from<detail::promise_base> Promise>
    [[nodiscard]] WEFT_INLINE_SUSPENSION bool await_suspend(
        std::coroutine_handle<Promise> parent) noexcept {
        return fork_join::run(parent.address(), members{this});
    }

    std::conditional_t<ResultForm, result<values>, values> await_resume() {
        if constexpr (ResultForm) {
            if (!went_smoothly<true>(count)) {
                if (std::error_code const code = detail::code_of_join<fork_join>(*this)) {
                    return failure(code);
                }
            }
        } else if (!went_smoothly(count)) {
            detail::late_address(*this)->rethrow_error();
        }
        return take_all(positions{});
    }

    [[nodiscard]] when_all_operation<true, T...> as_result() && noexcept
        requires(!ResultForm)
    {
        return when_all_operation<true, T...>(*this);
    }

private:
    /// The children as fork_join::run() wants them.
    struct members {
        when_all_operation* self;

        static constexpr bool hides_stop = ResultForm;

        [[nodiscard]] fork_join& join() const noexcept { return *self; }

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
            constexpr bool each[] = {!detail::outcome_slot<T>::moves_without_throwing...};
            return each[index];
        }

        static void ended(std::size_t) noexcept {}

        [[nodiscard]] WEFT_ALWAYS_INLINE members relocated() const noexcept {
            return {detail::late_address(*self)};
        }

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

    /// Takes the children of an operation that nobody will await.
    explicit when_all_operation(when_all_operation<false, T...>& other) noexcept
        : fork_join(&child_done) {
        for (std::size_t i = 0; i != count; ++i) {
            children_[i] = std::exchange(other.children_[i], nullptr);
        }
    }

    static std::coroutine_handle<> child_done(detail::end_hook& base,
                                              detail::promise_base& child) noexcept {
        return static_cast<when_all_operation&>(base).end_child(child, &settle);
    }

    static detail::outcome settle(fork_join& base, detail::promise_base& child) noexcept {
        return settle_any(
            positions{}, static_cast<when_all_operation&>(base), child, child.result_);
    }

    template <std::size_t... I>
    static detail::outcome settle_any(std::index_sequence<I...>,
                                      when_all_operation& self,
                                      detail::promise_base& child,
                                      void const* place) noexcept {
        detail::outcome ended = detail::outcome::pending;
        (void)((place == std::get<I>(self.slots_).place() &&
                ((ended = self.template settle_one<I>(child)), true)) ||
               ...);
        return ended;
    }

    template <std::size_t I>
    detail::outcome settle_one(detail::promise_base& child) noexcept {
        detail::outcome const ended = detail::settle_child<type<I>, fork_join>(
            *this, child, I, detail::into_slot<type<I>>{std::get<I>(slots_)});
        has_value_[I] = ended == detail::outcome::value;
        return ended;
    }

    template <std::size_t... I>
    WEFT_ALWAYS_INLINE values take_all(std::index_sequence<I...>) {
        return {detail::take_join_value(std::get<I>(slots_))...};
    }

    template <std::size_t... I>
    WEFT_ALWAYS_INLINE void end_values(std::index_sequence<I...>) noexcept {
        (std::get<I>(slots_).end(), ...);
    }

    template <std::size_t... I>
    void end_values_since(std::index_sequence<I...>, std::size_t nested) noexcept {
        ((I < nested || has_value_[I] ? std::get<I>(slots_).end() : void()), ...);
    }

    WEFT_COLD WEFT_SPARES_REGISTERS void end_what_is_left() noexcept {
        if (has_begun()) {
            end_values_since(positions{}, nested_count(count));
            clean_up();
            return;
        }
        for (detail::promise_base* each : children_) {
            if (each != nullptr) {
                each->handle().destroy();
            }
        }
    }

    detail::promise_base* children_[count];
    bool has_value_[count];  // not written for the first ones, which were nested and have one
    std::tuple<detail::outcome_slot<T>...> slots_;
};

/// Runs tasks concurrently and waits for all of them. Yields a tuple of their values; `unit` stands
/// for void.
///
/// The children may run in parallel on other workers; while no worker is idle they run one after
/// the other on this one, at the cost of a call.
///
/// Thread safety: awaited in one coroutine; children run on any worker.
/// Cancellation: a stop of the awaiting task stops every child, and every child is waited for. If
///     one child fails, the others are stopped. Under `as_result` the stop does not unwind the
///     awaiting task: the result holds std::errc::operation_canceled.
/// Lifetime: what the children refer to must outlive the await; locals of the awaiting coroutine
///     do. A child's frame, with its parameters, is destroyed when that child ends, on the thread
///     where it ends and whether its siblings run or not: where one end of a channel is a parameter
///     of a child, its siblings see that end go.
/// Resumption: where the last child finished.
/// Complexity: no allocation besides the children's frames; no atomic read-modify-write while
///     nothing is stolen.
/// Errors: the error of the first failed child in argument order; its code under `as_result`. What
///     moving a value out throws is an error of that child.
/// Example: examples/parallel_sum.cpp
template <detail::plain_value... T>
    requires(sizeof...(T) > 0)
[[nodiscard]] when_all_operation<false, T...> when_all(task<T>... children) noexcept {
    return when_all_operation<false, T...>(std::move(children)...);
}

/// The same for other things to await, among tasks or not: operations, join handles, callables that
/// give something to await. Each that is no task takes a frame, which refers to what is an lvalue
/// or cannot be moved: an operation is awaited in the expression that makes it.
template <class... Work>
    requires(sizeof...(Work) > 0)
[[nodiscard]] auto when_all(Work&&... children WEFT_LIFETIMEBOUND) {
    return when_all(detail::as_task(static_cast<Work&&>(children))...);
}

/// The same for what stands in a tuple.
template <class... Work>
    requires(sizeof...(Work) > 0)
[[nodiscard]] auto when_all(std::tuple<Work...> children) {
    return std::apply([](Work&... each) { return when_all(static_cast<Work&&>(each)...); },
                      children);
}

}  // namespace weft
