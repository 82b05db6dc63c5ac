#pragma once

#include <weft/runtime/base/atomic.hpp>

#include <concepts>
#include <cstddef>
#include <exception>
#include <type_traits>
#include <utility>

namespace weft {

namespace detail {

/// Who hears of errors that nobody joins: the part of error_hook that does not depend on the
/// function. Shared by the runtime and by the records of children whose handle may outlive it.
class error_listener {
public:
    error_listener(error_listener const&) = delete;
    error_listener& operator=(error_listener const&) = delete;

    [[nodiscard]] error_listener& share() noexcept;
    void drop() noexcept;

    /// Any thread. An error that the function throws itself is written to stderr with the other.
    void tell(std::exception_ptr const& error) noexcept;

protected:
    using call_function = void (*)(error_listener&, std::exception_ptr const&);
    using free_function = void (*)(error_listener&) noexcept;

    error_listener(call_function call, free_function free) noexcept : call_(call), free_(free) {}

    ~error_listener() = default;

private:
    // --- constant after construction -------------------------------------------
    call_function call_;
    free_function free_;

    // --- any thread, atomic ------------------------------------------------------
    /// Written by whoever takes or gives a share.
    atomic<std::size_t> owners_{1};
};

template <class Function>
class listener_of final : public error_listener {
public:
    explicit listener_of(Function function)
        : error_listener(&call, &free)
        , function_(std::move(function)) {}

private:
    static void call(error_listener& base, std::exception_ptr const& error) {
        static_cast<listener_of&>(base).function_(error);
    }

    static void free(error_listener& base) noexcept { delete static_cast<listener_of*>(&base); }

    Function function_;
};

/// Any thread. Tells of an error that nobody joined: the listener, or stderr where there is none.
WEFT_COLD void report_lost_error(error_listener* listener,
                                 std::exception_ptr const& error) noexcept;

}  // namespace detail

/// What a runtime does with the error of a spawned task that nobody joins. Without a function:
/// writes a line to stderr, without waiting for whoever reads it; lines that stderr does not take
/// at once, and those above a rate, are dropped and counted (stderr_lines_dropped).
///
///     options.on_unhandled_error = [&](std::exception_ptr const& error) { log.add(error); };
///
/// Thread safety: the function is called on whatever thread the task ended, or its handle was
///     dropped, by several at the same time. It must not wait: a worker calls it.
/// Cancellation: never suspends.
/// Lifetime: copies share the function. It lives as long as the runtime, and as a join_handle of
///     it.
/// Complexity: one allocation for a function, none without.
/// Errors: std::bad_alloc from the constructor. What the function throws is written to stderr, and
///     so is the error that it was called with.
class error_hook {
public:
    error_hook() noexcept = default;

    template <class Function>
        requires(!std::same_as<std::remove_cvref_t<Function>, error_hook> &&
                 std::invocable<std::decay_t<Function>&, std::exception_ptr const&>)
    error_hook(Function&& function)
        : listener_(
              new detail::listener_of<std::decay_t<Function>>(std::forward<Function>(function))) {}

    error_hook(error_hook const& other) noexcept
        : listener_(other.listener_ != nullptr ? &other.listener_->share() : nullptr) {}

    error_hook(error_hook&& other) noexcept : listener_(std::exchange(other.listener_, nullptr)) {}

    error_hook& operator=(error_hook other) noexcept {
        std::swap(listener_, other.listener_);
        return *this;
    }

    ~error_hook() {
        if (listener_ != nullptr) {
            listener_->drop();
        }
    }

    /// False without a function.
    [[nodiscard]] explicit operator bool() const noexcept { return listener_ != nullptr; }

    /// For the library; null without a function.
    [[nodiscard]] detail::error_listener* listener() const noexcept { return listener_; }

private:
    detail::error_listener* listener_ = nullptr;
};

}  // namespace weft
