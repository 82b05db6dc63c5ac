#pragma once

#include <weft/runtime/base/assert.hpp>
#include <weft/runtime/base/reference.hpp>
#include <weft/runtime/task/task.hpp>
#include <weft/runtime/values/error.hpp>
#include <weft/runtime/values/outcome_slot.hpp>
#include <weft/runtime/values/result.hpp>

#include <exception>
#include <new>
#include <type_traits>
#include <utility>

namespace weft {

namespace detail {

struct settled_access;

}  // namespace detail

/// How a task ended: with a value, with an error, or stopped. A default-constructed one is stopped.
///
/// Thread safety: as for a plain value.
/// Cancellation: never suspends.
/// Lifetime: owns its value; a reference is kept as a pointer.
/// Complexity: no allocation.
/// Errors: `value()` rethrows the error, and throws operation_cancelled for a stopped task;
///     `operator*` requires a value.
template <class T>
class [[nodiscard]] settled {
    static constexpr bool is_void = std::is_void_v<T>;
    static constexpr bool by_reference = std::is_reference_v<T>;
    using stored = typename detail::outcome_slot<T>::stored;
    using rvalue = std::add_rvalue_reference_t<T>;
    using lvalue = std::add_lvalue_reference_t<T>;
    using const_lvalue =
        std::conditional_t<by_reference, lvalue, std::add_lvalue_reference_t<std::add_const_t<T>>>;

public:
    using value_type = T;

    settled() noexcept {}

    settled(settled const& other)
        requires std::is_copy_constructible_v<stored>
    {
        construct(other);
    }

    settled(settled&& other) noexcept(std::is_nothrow_move_constructible_v<stored>) {
        construct(std::move(other));
    }

    /// If the value's constructor throws, what is left is stopped.
    settled& operator=(settled other) noexcept(std::is_nothrow_move_constructible_v<stored>) {
        reset();
        construct(std::move(other));
        return *this;
    }

    ~settled() { reset(); }

    [[nodiscard]] bool has_value() const noexcept { return outcome_ == detail::outcome::value; }

    [[nodiscard]] explicit operator bool() const noexcept { return has_value(); }

    [[nodiscard]] bool has_error() const noexcept { return outcome_ == detail::outcome::error; }

    [[nodiscard]] bool was_stopped() const noexcept { return outcome_ == detail::outcome::stopped; }

    /// Null unless has_error().
    [[nodiscard]] std::exception_ptr error() const noexcept {
        return has_error() ? error_ : nullptr;
    }

    lvalue value() & {
        require_value();
        return get();
    }

    const_lvalue value() const& {
        require_value();
        return get();
    }

    T value() && {
        require_value();
        return std::move(*this).take();
    }

    [[nodiscard]] lvalue operator*() & noexcept
        requires(!is_void)
    {
        WEFT_ASSERT(has_value(), "the value of a task that has none is taken");
        return get();
    }

    [[nodiscard]] const_lvalue operator*() const& noexcept
        requires(!is_void)
    {
        WEFT_ASSERT(has_value(), "the value of a task that has none is taken");
        return get();
    }

    [[nodiscard]] rvalue operator*() && noexcept
        requires(!is_void)
    {
        WEFT_ASSERT(has_value(), "the value of a task that has none is taken");
        return static_cast<rvalue>(get());
    }

    [[nodiscard]] auto* operator->() noexcept
        requires(!is_void)
    {
        return __builtin_addressof(**this);
    }

    [[nodiscard]] auto* operator->() const noexcept
        requires(!is_void)
    {
        return __builtin_addressof(**this);
    }

private:
    friend struct detail::settled_access;

    template <class... Arguments>
    void emplace(Arguments&&... arguments) {
        reset();
        make_slot().emplace(static_cast<Arguments&&>(arguments)...);
        outcome_ = detail::outcome::value;
    }

    void fail(std::exception_ptr error) noexcept {
        reset();
        ::new (static_cast<void*>(__builtin_addressof(error_)))
            std::exception_ptr(std::move(error));
        outcome_ = detail::outcome::error;
    }

    /// A copy's value is copied, a moved one's is moved.
    template <class Other>
    using copied = std::conditional_t<std::is_lvalue_reference_v<Other>, stored const&, stored&&>;

    /// Requires: no value and no error.
    [[nodiscard]] detail::outcome_slot<T>& make_slot() noexcept {
        return *::new (static_cast<void*>(__builtin_addressof(value_))) detail::outcome_slot<T>;
    }

    template <class Other>
    void construct(Other&& other) {
        if (other.has_value()) {
            make_slot().emplace(static_cast<copied<Other>>(other.value_.kept()));
        } else if (other.has_error()) {
            ::new (static_cast<void*>(__builtin_addressof(error_)))
                std::exception_ptr(other.error_);
        }
        outcome_ = other.outcome_;
    }

    void reset() noexcept {
        if (has_value()) {
            value_.end();
        } else if (has_error()) {
            error_.~exception_ptr();
        }
        outcome_ = detail::outcome::stopped;
    }

    void require_value() const {
        if (has_error()) {
            std::rethrow_exception(error_);
        }
        if (!has_value()) {
            throw operation_cancelled();
        }
    }

    [[nodiscard]] auto get() const noexcept -> const_lvalue {
        if constexpr (by_reference) {
            return *value_.kept();
        } else if constexpr (!is_void) {
            return value_.kept();
        }
    }

    [[nodiscard]] auto get() noexcept -> lvalue { return value_.value(); }

    T take() {
        if constexpr (!is_void) {
            return static_cast<T&&>(get());
        }
    }

    union {
        detail::outcome_slot<T> value_;
        std::exception_ptr error_;
    };

    detail::outcome outcome_ = detail::outcome::stopped;
};

namespace detail {

/// How the library fills in what a task came to.
struct settled_access {
    template <class T>
    using stored = typename outcome_slot<T>::stored;

    /// Requires: `child` has ended. Moves its outcome to `target`; where the value's constructor
    /// throws, that is the outcome. The value follows `before` in the constructor's arguments.
    template <class Value, class T, class... Before>
    static void move_outcome(task_promise<T>& child,
                             settled<Value>& target,
                             Before... before) noexcept {
        if (child.outcome_ == outcome::error) {
            target.fail(child.error());
        } else if (child.outcome_ == outcome::value) {
            try {
                if constexpr (std::is_void_v<T>) {
                    target.emplace(before...);
                } else if constexpr (std::is_constructible_v<stored<Value>, Before..., T>) {
                    target.emplace(before..., child.take_value());
                } else {
                    target.emplace(before..., as_object<T>(child.take_value()));
                }
            } catch (...) {
                target.fail(std::current_exception());
            }
        }
    }

    template <class T, class... Arguments>
    static void put(settled<T>& target, Arguments&&... arguments) {
        target.emplace(static_cast<Arguments&&>(arguments)...);
    }

    template <class T>
    static void fail(settled<T>& target, std::exception_ptr error) noexcept {
        target.fail(std::move(error));
    }
};

}  // namespace detail

}  // namespace weft
