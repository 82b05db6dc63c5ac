#pragma once

/// Values that belong to a task and everything below it.
///
/// A binding lives in the frame of the task that made it and points at the one around it. Children
/// inherit the innermost binding with their context, by the copy of one pointer; nothing is copied
/// and nothing is counted, because no child outlives the binding. A look-up walks the bindings
/// outwards.

#include <weft/runtime/coro/promise.hpp>
#include <weft/runtime/coro/ready_budget.hpp>
#include <weft/runtime/task/task.hpp>

#include <concepts>
#include <coroutine>
#include <utility>

namespace weft {

namespace detail {

struct local_binding {
    void const* key;
    void const* value;
    local_binding const* outer;
};

/// The value that is bound to `key`, or null.
[[nodiscard]] void const* find_local(context const& where, void const* key) noexcept;

/// A plain await of a child that sees one more binding.
template <class T>
class [[nodiscard]] bound_await {
public:
    bound_await(void const* key, void const* value, task<T>& child) noexcept
        : promise_(&task_access::release_promise(child))
        , owner_(promise_->handle())
        , binding_{key, value, nullptr} {}

    bound_await(bound_await const&) = delete;
    bound_await& operator=(bound_await const&) = delete;

    ~bound_await() {
        if (owner_) {
            owner_.destroy();
        }
    }

    [[nodiscard]] bool await_ready() const noexcept { return false; }

    template <std::derived_from<promise_base> Promise>
    [[nodiscard]] std::coroutine_handle<> await_suspend(
        std::coroutine_handle<Promise> parent) noexcept {
        auto const first = begin_plain_await(parent.promise(), *promise_, owner_);
        context_ = *promise_->context_;
        binding_.outer = context_.ambient->locals;
        ambient_ = *context_.ambient;
        ambient_.locals = &binding_;
        context_.ambient = &ambient_;
        promise_->context_ = &context_;
        return first;
    }

    T await_resume() { return promise_->take(); }

private:
    task_promise<T>* promise_;
    std::coroutine_handle<> owner_;
    local_binding binding_;
    ambient_state ambient_;
    context context_{nullptr, nullptr};
};

/// Yields the value bound to a key where it is awaited, or null.
template <class T>
class [[nodiscard]] local_query {
public:
    explicit local_query(void const* key) noexcept : key_(key) {}

    [[nodiscard]] bool await_ready() const noexcept { return false; }

    template <std::derived_from<promise_base> Promise>
    [[nodiscard]] bool await_suspend(std::coroutine_handle<Promise> asker) noexcept {
        value_ = static_cast<T const*>(find_local(*asker.promise().context_, key_));
        return !spend_budget() && give_way(asker.promise());
    }

    [[nodiscard]] T const* await_resume() const noexcept { return value_; }

private:
    void const* key_;
    T const* value_ = nullptr;
};

}  // namespace detail

/// A key to a value of type `T` that flows from a task to everything it awaits, spawns or joins.
///
/// A key is an object of static storage duration; its address is its identity. Tasks under the root
/// scope (`weft::spawn`, `runtime::spawn`) start without values, since they may outlive the caller.
///
/// Thread safety: the key is constant. A value is shared by all children, on any worker: it is
///     const.
/// Cancellation: as the task's; reading never suspends.
/// Lifetime: a value lives until the task it was given to has ended; so do pointers to it.
/// Resumption: as a plain await.
/// Complexity: O(1) to bind and to inherit, no allocation but the frame of with(); O(bindings
///     around) to read.
/// Errors: the task's own.
/// Example: examples/task_locals.cpp
template <class T>
class task_local {
public:
    constexpr task_local() noexcept = default;

    task_local(task_local const&) = delete;
    task_local& operator=(task_local const&) = delete;

    /// Runs `work`, to which the key has `value`.
    template <class R>
    [[nodiscard]] task<R> with(T value, task<R> work) const {
        return bind(this, std::move(value), std::move(work));
    }

    /// `co_await key.find()`: the innermost value, or null.
    [[nodiscard]] detail::local_query<T> find() const noexcept {
        return detail::local_query<T>(this);
    }

private:
    template <class R>
    static task<R> bind(void const* key, T value, task<R> work) {
        co_return co_await detail::bound_await<R>(key, static_cast<void const*>(&value), work);
    }
};

}  // namespace weft
