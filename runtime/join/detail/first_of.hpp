#pragma once

/// What when_any, race and first_success have in common: of several children one decides, and the
/// others go home.
///
/// A child decides by ending with a value, or, except in first_success, with an error. Whoever ends
/// after it is a loser, whose outcome is destroyed with its frame at its end.

#include <weft/runtime/base/reference.hpp>
#include <weft/runtime/join/detail/as_tasks.hpp>
#include <weft/runtime/join/detail/start_all_join.hpp>
#include <weft/runtime/join/when_all.hpp>
#include <weft/runtime/task/as_result.hpp>
#include <weft/runtime/task/settled.hpp>
#include <weft/runtime/values/result.hpp>

#include <concepts>
#include <cstddef>
#include <exception>
#include <span>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace weft {

/// A value, and the number of the task that it is from.
///
/// Thread safety: as for a plain value.
/// Cancellation: never suspends.
/// Lifetime: owns its value.
/// Complexity: no allocation.
/// Errors: none.
template <class T>
struct indexed {
    template <class... Arguments>
    explicit indexed(std::size_t number, Arguments&&... arguments)
        : index(number)
        , value(static_cast<Arguments&&>(arguments)...) {}

    std::size_t index;
    T value;
};

template <>
struct indexed<void> {
    explicit indexed(std::size_t number) noexcept : index(number) {}

    std::size_t index;
};

namespace detail {

enum class first_of : unsigned char {
    ended,             ///< whoever ends, by its value
    ended_with_index,  ///< whoever ends, by its value and number
    success,           ///< whoever ends with a value
};

/// What the first of several tasks of different types gives.
template <class... T>
struct first_value {
    using type = std::variant<object_t<join_value_t<T>>...>;
};

template <class T, class... Same>
    requires(std::same_as<T, Same> && ...)
struct first_value<T, Same...> {
    using type = T;
};

/// The errors of first_success, one place for each child; nothing elsewhere.
template <std::size_t Count>
class pack_errors {
public:
    void note(std::size_t index, std::exception_ptr error) noexcept {
        list_[index] = std::move(error);
    }

    [[nodiscard]] std::span<std::exception_ptr const> list() const noexcept { return list_; }

private:
    std::exception_ptr list_[Count];
};

template <>
class pack_errors<0> {
public:
    void note(std::size_t, std::exception_ptr const&) noexcept {}

    [[nodiscard]] std::span<std::exception_ptr const> list() const noexcept { return {}; }
};

class range_errors {
public:
    explicit range_errors(std::size_t count) : list_(count) {}

    void note(std::size_t index, std::exception_ptr error) noexcept {
        list_[index] = std::move(error);
    }

    [[nodiscard]] std::span<std::exception_ptr const> list() const noexcept { return list_; }

private:
    std::vector<std::exception_ptr> list_;
};

/// Throws what all have failed with; returns when none has.
void throw_errors(std::span<std::exception_ptr const> errors);

/// The code of the first error, or `operation_canceled` when there is none.
[[nodiscard]] std::error_code code_of_first(std::span<std::exception_ptr const> errors);

/// Nobody can be the first of none.
[[nodiscard]] std::error_code no_first_of_none() noexcept;
[[noreturn]] void throw_no_first_of_none(char const* name);

[[nodiscard]] constexpr char const* name_of(first_of kind) noexcept {
    return kind == first_of::ended_with_index ? "when_any"
           : kind == first_of::ended          ? "race"
                                              : "first_success";
}

/// The part of both forms: what the deciding child came to.
template <first_of Kind, class Value>
class first_outcome {
public:
    /// At the end of a child that was not stopped. Keeps its outcome if it decides, and tells why
    /// the others are to be stopped then.
    template <class Errors, class T, class... Before>
    stop_kind note(start_all_join& join,
                   Errors& errors,
                   task_promise<T>& child,
                   Before... before) noexcept {
        bool const failed = child.outcome_ == outcome::error;
        if (Kind == first_of::success && failed) {
            errors.note(child.child_index_, child.error());
            return stop_kind::none;
        }
        if (child.outcome_ == outcome::stopped || !join.claim()) {
            return stop_kind::none;
        }
        settled_access::move_outcome(child, decided_, before...);
        return failed ? stop_kind::sibling_failed : stop_kind::sibling_finished;
    }

    Value take(std::span<std::exception_ptr const> errors) {
        if (decided_.was_stopped()) {
            throw_errors(errors);
        }
        return std::move(decided_).value();
    }

    result<Value> take_result(start_all_join const& join,
                              std::span<std::exception_ptr const> errors) {
        if (decided_.was_stopped() && !join.was_cut_short()) {
            return failure(code_of_first(errors));
        }
        return result_of(std::move(decided_));
    }

private:
    settled<Value> decided_;
};

template <first_of Kind, bool ResultForm, class... T>
class [[nodiscard]] first_of_operation
    : private join_of_pack<first_of_operation<Kind, ResultForm, T...>, T...> {
    using base = join_of_pack<first_of_operation, T...>;
    using variant = std::variant<object_t<join_value_t<T>>...>;
    using value_type = typename std::conditional_t<Kind == first_of::ended_with_index,
                                                   std::type_identity<variant>,
                                                   first_value<T...>>::type;
    static constexpr bool gives_variant = std::same_as<value_type, variant>;

    friend base;

public:
    explicit first_of_operation(std::tuple<task<T>...>&& children) noexcept
        : base(std::move(children)) {}

    [[nodiscard]] bool await_ready() const noexcept { return false; }

    template <std::derived_from<promise_base> Promise>
    [[nodiscard]] std::coroutine_handle<> await_suspend(
        std::coroutine_handle<Promise> parent) noexcept {
        if constexpr (ResultForm) {
            this->tell_when_stopped();
        }
        return this->begin(parent.promise(), name_of(Kind));
    }

    std::conditional_t<ResultForm, result<value_type>, value_type> await_resume() {
        if constexpr (ResultForm) {
            return first_.take_result(*this, errors_.list());
        } else {
            return first_.take(errors_.list());
        }
    }

    [[nodiscard]] first_of_operation<Kind, true, T...> as_result() && noexcept
        requires(!ResultForm)
    {
        return first_of_operation<Kind, true, T...>(std::move(this->children_));
    }

private:
    template <std::size_t I, class Promise>
    stop_kind child_ended(Promise& child) noexcept {
        if constexpr (gives_variant) {
            return first_.note(*this, errors_, child, std::in_place_index<I>);
        } else {
            return first_.note(*this, errors_, child);
        }
    }

    first_outcome<Kind, value_type> first_;
    [[no_unique_address]] pack_errors<Kind == first_of::success ? sizeof...(T) : 0> errors_;
};

template <first_of Kind, bool ResultForm, class T>
class [[nodiscard]] first_of_range_operation
    : private join_of_range<first_of_range_operation<Kind, ResultForm, T>, T> {
    using base = join_of_range<first_of_range_operation, T>;
    static constexpr bool with_index = Kind == first_of::ended_with_index;
    using value_type = std::conditional_t<with_index, indexed<T>, T>;

    friend base;

public:
    explicit first_of_range_operation(std::vector<task<T>>&& children)
        : base(std::move(children))
        , errors_(Kind == first_of::success ? this->children_.size() : 0) {}

    [[nodiscard]] bool await_ready() const noexcept { return false; }

    template <std::derived_from<promise_base> Promise>
    [[nodiscard]] std::coroutine_handle<> await_suspend(
        std::coroutine_handle<Promise> parent) noexcept {
        if constexpr (ResultForm) {
            this->tell_when_stopped();
        }
        return this->begin(parent.promise(), name_of(Kind));
    }

    std::conditional_t<ResultForm, result<value_type>, value_type> await_resume() {
        if (this->children_.empty()) {
            if constexpr (ResultForm) {
                return failure(no_first_of_none());
            } else {
                throw_no_first_of_none(name_of(Kind));
            }
        }
        if constexpr (ResultForm) {
            return first_.take_result(*this, errors_.list());
        } else {
            return first_.take(errors_.list());
        }
    }

[[nodiscard]] first_of_range_operation<Kind, true, T> as_result() &&
    requires(!ResultForm) {
        return first_of_range_operation<Kind, true, T>(std::move(this->children_));
    }

    private : stop_kind child_ended(std::size_t index, task_promise<T>& child) noexcept {
        if constexpr (with_index) {
            return first_.note(*this, errors_, child, index);
        } else {
            return first_.note(*this, errors_, child);
        }
    }

    first_outcome<Kind, value_type> first_;
    range_errors errors_;
};

}  // namespace detail

}  // namespace weft
