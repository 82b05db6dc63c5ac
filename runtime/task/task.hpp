#pragma once

#include <weft/runtime/base/reference.hpp>
#include <weft/runtime/coro/awaitable.hpp>
#include <weft/runtime/coro/promise.hpp>

#include <concepts>
#include <cstddef>
#include <exception>
#include <new>
#include <type_traits>
#include <utility>

namespace weft {

template <class T = void>
class task;

namespace detail {

struct task_access;

/// Storage of a task's outcome. The discriminator is promise_base::outcome_.
template <class T>
class task_promise final : public promise_base {
    static constexpr bool by_reference = std::is_reference_v<T>;
    using stored = std::conditional_t<by_reference, std::remove_reference_t<T>*, T>;
    static constexpr bool over_aligned = alignof(stored) > alignof(std::max_align_t);

    // By a nested child, to where its parent wants it; see outcome_slot.
    static constexpr bool is_handed_over = std::is_nothrow_move_constructible_v<stored>;

public:
    task_promise() noexcept {}

    task_promise(task_promise const&) = delete;
    task_promise& operator=(task_promise const&) = delete;

    ~task_promise() {
        if (outcome_ == outcome::value) {
            value().~stored();
        } else if (outcome_ == outcome::error) [[unlikely]] {
            error_.~exception_ptr();
        }
    }

    [[nodiscard]] task<T> get_return_object() noexcept;

    [[nodiscard]] std::suspend_always initial_suspend() const noexcept { return {}; }

    [[nodiscard]] final_transfer final_suspend() noexcept { return {ends_by_return()}; }

    template <class U = T>
        requires(std::is_constructible_v<T, U &&> && !refers_to_temporary<T, U &&>)
    void return_value(U&& result) noexcept(std::is_nothrow_constructible_v<T, U&&>) {
        // NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult): it begins as pending
        if (!std::is_trivially_destructible_v<stored> && outcome_ != outcome::pending) {
            drop_value();
        }
        if constexpr (is_handed_over) {
            if (is_nested()) [[likely]] {
                // Set here and again below, on purpose: otherwise the optimiser merges this path
                // with the one below and tests the outcome again at the final suspend point.
                if constexpr (std::is_nothrow_constructible_v<T, U&&>) {
                    outcome_ = outcome::handed_over;
                }
                if constexpr (std::is_trivially_copyable_v<stored>) {
                    construct(result_, static_cast<U&&>(result));
                } else {
                    construct_apart(result_, static_cast<U&&>(result));
                }
                outcome_ = outcome::handed_over;
                return;
            }
        }
        construct(slot(), static_cast<U&&>(result));
        outcome_ = outcome::value;
    }

    template <class U>
        requires refers_to_temporary<T, U&&>
    void return_value(U&&) noexcept {
        static_assert(never<U>, "a task<T&> returns a reference to a temporary object");
    }

    WEFT_COLD void unhandled_exception() noexcept {
        drop_value();
        ::new (static_cast<void*>(&error_)) std::exception_ptr(std::current_exception());
        outcome_ = outcome::error;
        clear_nested_mark();
    }

    /// Requires: finished. Moves the value out or rethrows the error.
    [[nodiscard]] T take() {
        if (outcome_ != outcome::value) [[unlikely]] {
            rethrow();
        }
        return take_value();
    }

    /// Requires: finished with a value.
    [[nodiscard]] T take_value() {
        WEFT_ASSERT(outcome_ == outcome::value, "the result of an unfinished task is taken");
        if constexpr (by_reference) {
            return static_cast<T>(*value());
        } else {
            return std::move(value());
        }
    }

    [[nodiscard]] std::exception_ptr error() const noexcept {
        return outcome_ == outcome::error ? error_ : nullptr;
    }

private:
    template <class U>
    static void construct(void* place,
                          U&& result) noexcept(std::is_nothrow_constructible_v<T, U&&>) {
        if constexpr (by_reference) {
            T reference = static_cast<U&&>(result);
            ::new (place) stored(__builtin_addressof(reference));
        } else {
            // The inner cast: `co_return 1;` in a task of another integer type shall not warn here.
            ::new (place) stored(static_cast<stored>(static_cast<U&&>(result)));
        }
    }

    [[noreturn]] WEFT_COLD void rethrow() const {
        WEFT_CHECK(outcome_ == outcome::error, "a task that gives a value ended without co_return");
        std::rethrow_exception(error_);
    }

    /// If there is the value of a co_return after which a local's destructor threw.
    WEFT_COLD void drop_value() noexcept {
        if (outcome_ != outcome::pending) {
            void* const place = outcome_ == outcome::value ? slot() : result_;
            std::launder(static_cast<stored*>(place))->~stored();
        }
        outcome_ = outcome::pending;
    }

    /// By a call: two inlined moves of a std::variant make g++ warn of what is not there.
    template <class U>
    WEFT_NOINLINE static void construct_apart(void* place, U&& result) noexcept(
        std::is_nothrow_constructible_v<T, U&&>) {
        construct(place, static_cast<U&&>(result));
    }

    // Over-aligned results are placed by hand: a coroutine frame guarantees no more than the heap
    // does.
    static constexpr std::size_t storage_size =
        over_aligned ? sizeof(stored) + alignof(stored) : sizeof(stored);
    static constexpr std::size_t storage_align =
        over_aligned ? alignof(std::max_align_t) : alignof(stored);

    [[nodiscard]] void* slot() noexcept {
        if constexpr (over_aligned) {
            auto const address = reinterpret_cast<std::uintptr_t>(&storage_);
            auto const aligned = (address + alignof(stored) - 1) & ~(alignof(stored) - 1);
            return storage_ + (aligned - address);
        } else {
            return storage_;
        }
    }

    [[nodiscard]] stored& value() noexcept { return *std::launder(static_cast<stored*>(slot())); }

    union {
        std::exception_ptr error_;
        alignas(storage_align) unsigned char storage_[storage_size];
    };
};

template <>
class task_promise<void> final : public promise_base {
public:
    task_promise() noexcept {}

    task_promise(task_promise const&) = delete;
    task_promise& operator=(task_promise const&) = delete;

    ~task_promise() {
        if (outcome_ == outcome::error) [[unlikely]] {
            error_.~exception_ptr();
        }
    }

    [[nodiscard]] task<void> get_return_object() noexcept;

    [[nodiscard]] std::suspend_always initial_suspend() const noexcept { return {}; }

    [[nodiscard]] final_transfer final_suspend() noexcept { return {ends_by_return()}; }

    void return_void() noexcept { outcome_ = is_nested() ? outcome::handed_over : outcome::value; }

    WEFT_COLD void unhandled_exception() noexcept {
        ::new (static_cast<void*>(&error_)) std::exception_ptr(std::current_exception());
        outcome_ = outcome::error;
        clear_nested_mark();
    }

    void take() {
        if (outcome_ == outcome::error) [[unlikely]] {
            std::rethrow_exception(error_);
        }
        WEFT_ASSERT(outcome_ == outcome::value, "the result of an unfinished task is taken");
    }

    [[nodiscard]] std::exception_ptr error() const noexcept {
        return outcome_ == outcome::error ? error_ : nullptr;
    }

private:
    union {
        std::exception_ptr error_;
    };
};

/// Starts a child on behalf of `parent` with the parent's context and nobody but the parent to
/// tell.
inline std::coroutine_handle<> begin_plain_await(promise_base& parent,
                                                 promise_base& child,
                                                 std::coroutine_handle<>& slot) noexcept {
    child.context_ = parent.context_;
    child.parent_ = &parent;
    child.completion_ = nullptr;
    child.slot_ = &slot;
    return child.handle();
}

}  // namespace detail

/// A coroutine that computes a `T` when awaited.
///
/// A task is lazy: its body starts when it is awaited (or given to `spawn`, `when_all`, …), on the
/// same thread, and its end resumes the awaiting coroutine by symmetric transfer, so that chains of
/// awaits use no stack. It inherits stop state and scheduler from its awaiter.
///
/// Thread safety: a task object belongs to one thread at a time. The coroutine itself may be
///     resumed on any worker.
/// Cancellation: a stop reaches the operation that the task waits in; the frames from there up to
///     the nearest handler (scope, when_all, timeout, as_result, root) are destroyed from the
///     inside out. `catch` does not see it.
/// Lifetime: arguments taken by reference must outlive the await. Destroying a task that was never
///     awaited frees it.
/// Resumption: the awaiter continues where the task finished.
/// Complexity: one frame from a per-thread pool; no atomics, no lock.
/// Errors: an exception that leaves the body is rethrown by the await. Awaiting a task twice
///     aborts.
/// Example: examples/hello.cpp
template <class T>
class WEFT_TRIVIAL_ABI [[nodiscard]] task {
public:
    using promise_type = detail::task_promise<T>;
    using value_type = T;

    task() noexcept = default;

    task(task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}

    task& operator=(task&& other) noexcept {
        task(std::move(other)).swap(*this);
        return *this;
    }

    ~task() {
        if (handle_) {
            detail::destroy_frame(handle_.address());
        }
    }

    void swap(task& other) noexcept { std::swap(handle_, other.handle_); }

    /// False for a default-constructed, moved-from or awaited task.
    [[nodiscard]] explicit operator bool() const noexcept { return static_cast<bool>(handle_); }

    class await_operation {
    public:
        explicit await_operation(std::coroutine_handle<promise_type> coroutine) noexcept
            : promise_(&coroutine.promise())
            , owner_(coroutine) {}

        await_operation(await_operation const&) = delete;
        await_operation& operator=(await_operation const&) = delete;

        ~await_operation() {
            if (owner_) {
                owner_.destroy();
            }
        }

        [[nodiscard]] bool await_ready() const noexcept { return false; }

        template <std::derived_from<detail::promise_base> Promise>
        [[nodiscard]] std::coroutine_handle<> await_suspend(
            std::coroutine_handle<Promise> parent) noexcept {
            return detail::begin_plain_await(parent.promise(), *promise_, owner_);
        }

        T await_resume() { return promise_->take(); }

    private:
        promise_type* promise_;
        std::coroutine_handle<> owner_;
    };

    [[nodiscard]] await_operation operator co_await() && noexcept {
        WEFT_CHECK(handle_, "an empty task is awaited: a task can be awaited once");
        return await_operation(std::exchange(handle_, nullptr));
    }

    // What compilers show to somebody who awaits an lvalue.
    void operator co_await() const& = delete;  // a task is awaited once: co_await std::move(task)

private:
    friend promise_type;
    friend struct detail::task_access;

    explicit task(std::coroutine_handle<promise_type> handle) noexcept : handle_(handle) {}

    std::coroutine_handle<promise_type> handle_;
};

/// A task<T>, which it becomes wherever it goes: a const around a value that is handed out says
/// nothing.
template <class T>
class WEFT_TRIVIAL_ABI [[nodiscard]] task<T const> : public task<T> {
public:
    task() noexcept = default;

    task(task<T>&& other) noexcept : task<T>(std::move(other)) {}
};

namespace detail {

template <class T>
inline constexpr bool is_task = false;

template <class T>
inline constexpr bool is_task<task<T>> = true;

/// How the library reaches into a task.
struct task_access {
    template <class T>
    [[nodiscard]] static task_promise<T>& promise(task<T>& owner) noexcept {
        return owner.handle_.promise();
    }

    template <class T>
    [[nodiscard]] static task_promise<T>& release_promise(task<T>& owner) noexcept {
        WEFT_CHECK(owner.handle_, "an empty task is awaited: a task can be awaited once");
        return std::exchange(owner.handle_, nullptr).promise();
    }

    template <class T>
    [[nodiscard]] static std::coroutine_handle<task_promise<T>> release(task<T>& owner) noexcept {
        return std::exchange(owner.handle_, nullptr);
    }
};

template <class T>
task<T> task_promise<T>::get_return_object() noexcept {
    static_assert(alignof(task_promise) <= 16, "the frame layout places promises at 16 bytes");
    return task<T>(std::coroutine_handle<task_promise>::from_promise(*this));
}

inline task<void> task_promise<void>::get_return_object() noexcept {
    return task<void>(std::coroutine_handle<task_promise>::from_promise(*this));
}

}  // namespace detail

}  // namespace weft
