#pragma once

#include <weft/runtime/base/assert.hpp>
#include <weft/runtime/base/invoke.hpp>
#include <weft/runtime/base/reference.hpp>

#include <concepts>
#include <new>
#include <system_error>
#include <type_traits>
#include <utility>

namespace weft {

/// An error on its way into a result.
class failure {
public:
    explicit failure(std::error_code code) noexcept : code_(code) {}

    template <class Enum>
        requires std::is_error_code_enum_v<Enum>
    explicit failure(Enum code) noexcept : code_(make_error_code(code)) {}

    explicit failure(std::errc code) noexcept : code_(std::make_error_code(code)) {}

    [[nodiscard]] std::error_code error() const noexcept { return code_; }

private:
    std::error_code code_;
};

/// A value or a std::error_code, with the member names of std::expected.
///
/// Thread safety: as for a plain value.
/// Cancellation: never suspends; a stopped operation's result holds std::errc::operation_canceled.
/// Lifetime: owns its value.
/// Complexity: no allocation.
/// Errors: `value()` throws std::system_error when there is none; `operator*` and `error()` require
///     what they give.
template <class T>
class [[nodiscard]] result {
    static constexpr bool by_reference = std::is_reference_v<T>;
    using stored = std::conditional_t<by_reference, std::remove_reference_t<T>*, T>;

public:
    using value_type = T;
    using error_type = std::error_code;

    // A value and a failure become a result without a word, so that `return` takes either.
    template <class U = T>
        requires(!std::same_as<std::remove_cvref_t<U>, result> &&
                 !std::same_as<std::remove_cvref_t<U>, failure> &&
                 std::is_constructible_v<T, U &&> && !detail::refers_to_temporary<T, U &&>)
    explicit(!std::is_convertible_v<U&&, T>)
        result(U&& value) noexcept(std::is_nothrow_constructible_v<T, U&&>)
        : has_value_(true) {
        if constexpr (by_reference) {
            T reference = static_cast<U&&>(value);
            ::new (static_cast<void*>(&value_)) stored(__builtin_addressof(reference));
        } else {
            ::new (static_cast<void*>(&value_)) stored(static_cast<U&&>(value));
        }
    }

    result(failure error) noexcept : error_(error.error()), has_value_(false) {}

    result(result const& other) noexcept(std::is_nothrow_copy_constructible_v<stored>)
        requires std::copy_constructible<stored>
        : has_value_(other.has_value_) {
        construct(other);
    }

    result(result&& other) noexcept(std::is_nothrow_move_constructible_v<stored>)
        : has_value_(other.has_value_) {
        construct(std::move(other));
    }

    /// Never leaves the result without an outcome: if the value's constructor throws, an error
    /// takes its place.
    result& operator=(result other) noexcept(std::is_nothrow_move_constructible_v<stored>) {
        destroy();
        has_value_ = false;
        if constexpr (std::is_nothrow_move_constructible_v<stored>) {
            construct(std::move(other));
        } else {
            try {
                construct(std::move(other));
            } catch (...) {
                // What the constructor wrote lies in the error's place.
                ::new (static_cast<void*>(&error_))
                    std::error_code(std::make_error_code(std::errc::not_enough_memory));
                throw;
            }
        }
        has_value_ = other.has_value_;
        return *this;
    }

    ~result() { destroy(); }

    [[nodiscard]] bool has_value() const noexcept { return has_value_; }

    [[nodiscard]] explicit operator bool() const noexcept { return has_value_; }

    /// The error; a default error_code (no error) when there is a value.
    [[nodiscard]] std::error_code error() const noexcept {
        return has_value_ ? std::error_code() : error_;
    }

    [[nodiscard]] std::remove_reference_t<T>& value() & {
        require_value();
        return get();
    }

    [[nodiscard]] std::remove_reference_t<T> const& value() const& {
        require_value();
        return get();
    }

    [[nodiscard]] T value() && {
        require_value();
        return static_cast<T&&>(get());
    }

    [[nodiscard]] std::remove_reference_t<T>& operator*() & noexcept {
        WEFT_ASSERT(has_value_, "the value of a failed result is taken");
        return get();
    }

    [[nodiscard]] std::remove_reference_t<T> const& operator*() const& noexcept {
        WEFT_ASSERT(has_value_, "the value of a failed result is taken");
        return get();
    }

    [[nodiscard]] T&& operator*() && noexcept {
        WEFT_ASSERT(has_value_, "the value of a failed result is taken");
        return static_cast<T&&>(get());
    }

    [[nodiscard]] std::remove_reference_t<T>* operator->() noexcept {
        WEFT_ASSERT(has_value_, "the value of a failed result is taken");
        return __builtin_addressof(get());
    }

    [[nodiscard]] std::remove_reference_t<T> const* operator->() const noexcept {
        WEFT_ASSERT(has_value_, "the value of a failed result is taken");
        return __builtin_addressof(get());
    }

    template <class U>
    [[nodiscard]] std::remove_cvref_t<T> value_or(U&& other) && {
        if (has_value_) {
            return static_cast<T&&>(get());
        }
        return static_cast<std::remove_cvref_t<T>>(static_cast<U&&>(other));
    }

    template <class U>
    [[nodiscard]] std::remove_cvref_t<T> value_or(U&& other) const& {
        if (has_value_) {
            return get();
        }
        return static_cast<std::remove_cvref_t<T>>(static_cast<U&&>(other));
    }

    /// `function(value)` gives another result; errors pass through.
    template <class Function>
    [[nodiscard]] auto and_then(Function&& function) && -> std::invoke_result_t<Function, T&&> {
        if (has_value_) {
            return detail::invoke(std::forward<Function>(function), static_cast<T&&>(get()));
        }
        return failure(error_);
    }

    /// `function(value)` gives the new value; errors pass through.
    template <class Function>
    [[nodiscard]] auto transform(
        Function&& function) && -> result<detail::kept_t<std::invoke_result_t<Function, T&&>>> {
        using next = result<detail::kept_t<std::invoke_result_t<Function, T&&>>>;
        if (!has_value_) {
            return next(failure(error_));
        }
        if constexpr (std::is_void_v<typename next::value_type>) {
            detail::invoke(std::forward<Function>(function), static_cast<T&&>(get()));
            return next();
        } else {
            return next(detail::invoke(std::forward<Function>(function), static_cast<T&&>(get())));
        }
    }

    /// `function(error)` gives a result in place of the error; values pass through.
    template <class Function>
    [[nodiscard]] result or_else(Function&& function) && {
        if (has_value_) {
            return std::move(*this);
        }
        return std::forward<Function>(function)(error_);
    }

private:
    [[nodiscard]] std::remove_reference_t<T>& get() noexcept {
        if constexpr (by_reference) {
            return *value_;
        } else {
            return value_;
        }
    }

    [[nodiscard]] std::remove_reference_t<T> const& get() const noexcept {
        if constexpr (by_reference) {
            return *value_;
        } else {
            return value_;
        }
    }

    void require_value() const {
        if (!has_value_) {
            throw std::system_error(error_);
        }
    }

    template <class Other>
    void construct(Other&& other) {
        if (other.has_value_) {
            ::new (static_cast<void*>(&value_)) stored(std::forward<Other>(other).value_);
        } else {
            ::new (static_cast<void*>(&error_)) std::error_code(other.error_);
        }
    }

    void destroy() noexcept {
        if constexpr (!std::is_trivially_destructible_v<stored>) {
            if (has_value_) {
                value_.~stored();
            }
        }
    }

    union {
        stored value_;
        std::error_code error_;
    };

    bool has_value_;
};

/// Success without a value, or an error.
template <>
class [[nodiscard]] result<void> {
public:
    using value_type = void;
    using error_type = std::error_code;

    result() noexcept = default;

    result(failure error) noexcept : error_(error.error()), has_value_(false) {}

    [[nodiscard]] bool has_value() const noexcept { return has_value_; }

    [[nodiscard]] explicit operator bool() const noexcept { return has_value_; }

    [[nodiscard]] std::error_code error() const noexcept { return error_; }

    void value() const {
        if (!has_value_) {
            throw std::system_error(error_);
        }
    }

    void operator*() const noexcept {
        WEFT_ASSERT(has_value_, "the value of a failed result is taken");
    }

    template <class Function>
    [[nodiscard]] auto and_then(Function&& function) const -> std::invoke_result_t<Function> {
        if (has_value_) {
            return std::forward<Function>(function)();
        }
        return failure(error_);
    }

    template <class Function>
    [[nodiscard]] result or_else(Function&& function) const {
        if (has_value_) {
            return *this;
        }
        return std::forward<Function>(function)(error_);
    }

private:
    std::error_code error_;
    bool has_value_ = true;
};

}  // namespace weft
