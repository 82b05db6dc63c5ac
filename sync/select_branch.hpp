#pragma once

/// What can be a branch of a select, and how each kind of it takes part.

#include <weft/runtime/join_handle.hpp>
#include <weft/runtime/join_values.hpp>
#include <weft/runtime/sleep.hpp>
#include <weft/runtime/task.hpp>
#include <weft/sync/channel_operation.hpp>
#include <weft/sync/select_site.hpp>
#include <weft/sync/wait_list.hpp>

#include <concepts>
#include <coroutine>
#include <cstdint>
#include <system_error>
#include <type_traits>
#include <utility>

namespace weft {

/// True for operations that may complete after they have lost a race without anything being lost:
/// their completion has no effect beyond its being known. An operation says so with a member
/// `static constexpr bool leaves_no_trace = true`; a specialization may say so for it. Once its
/// await has ended, it refers no more to the stop state that it followed there.
template <class Operation>
inline constexpr bool leaves_no_trace = requires { requires Operation::leaves_no_trace; };

template <>
inline constexpr bool leaves_no_trace<sleep_operation> = true;

/// A join through a handle that keeps the outcome: it can be joined again.
template <class T, bool ResultForm>
inline constexpr bool leaves_no_trace<join_operation<T, join_handle<T>&, ResultForm>> = true;

namespace detail {

template <class Operation>
concept channel_branch = requires { typename Operation::is_channel_operation; };

template <class Operation>
inline constexpr bool is_primitive_branch = false;

template <class Request, bool ResultForm>
inline constexpr bool is_primitive_branch<wait_operation<Request, ResultForm>> =
    Request::can_be_branch;

template <class Operation>
concept direct_operation = channel_branch<Operation> || is_primitive_branch<Operation>;

template <class Operation>
inline constexpr bool is_task_branch = false;

template <class T>
inline constexpr bool is_task_branch<task<T>> = true;

/// An operation that can be waited for without effect, and then tried: until_ready() gives an
/// awaitable of a result<void>; try_complete(its error) is true when it has taken effect, or has
/// failed; take() yields what its await would.
template <class Operation>
concept stepwise_branch = awaitable<Operation> && requires(Operation& operation) {
    { operation.until_ready() } -> awaitable;
    { operation.try_complete(std::error_code()) } -> std::same_as<bool>;
    operation.take();
};

/// An operation that is woken for something the next can have as well: pass_on() gives it to that.
template <class Operation>
concept passing_branch = requires(Operation& operation) { operation.pass_on(); };

template <class Operation>
concept foreign_branch =
    is_task_branch<Operation> || stepwise_branch<Operation> || passing_branch<Operation> ||
    (awaitable<Operation> && leaves_no_trace<Operation>);

template <class Result>
struct selected {
    using type = Result;
};

template <>
struct selected<void> {
    using type = unit;
};

template <class T>
struct selected<T&> {
    using type = T*;
};

template <class Result>
using selected_t = typename selected<Result>::type;

/// What a branch awaits that has lost: it ends as stopped.
class lost_branch {
public:
    lost_branch() noexcept {}

    [[nodiscard]] bool await_ready() const noexcept { return false; }

    template <std::derived_from<promise_base> Promise>
    void await_suspend(std::coroutine_handle<Promise> loser) const noexcept {
        unwind_soon(loser.promise());
    }

    void await_resume() const noexcept {}

private:
    static void unwind_soon(promise_base& loser) noexcept;
};

/// An operation of a channel or a primitive as a branch: the operation itself.
template <class Operation>
class select_branch {
public:
    static constexpr bool is_foreign = false;
    using result_type = await_result_t<Operation>;

    [[nodiscard]] direct_branch prepare(Operation& operation,
                                        select_site& site,
                                        std::uint32_t index) noexcept {
        operation_ = &operation;
        if constexpr (channel_branch<Operation>) {
            channel_waiter& place = channel_access::prepare(operation);
            place.join_site(site, index);
            return direct_branch(place);
        } else {
            return direct_branch(
                operation.join_site(site, index), &operation, [](void* wanted) noexcept {
                    return static_cast<Operation*>(wanted)->try_now();
                });
        }
    }

    [[nodiscard]] result_type result() { return operation_->await_resume(); }

private:
    Operation* operation_ = nullptr;
};

/// Anything else: a coroutine that runs under the stop state of the select.
template <foreign_branch Operation>
    requires(!direct_operation<Operation>)
class select_branch<Operation> : private completion {
public:
    static constexpr bool is_foreign = true;
    using result_type = await_result_t<Operation>;

    select_branch() noexcept : completion(&ended) {}

    void prepare(Operation& operation, select_site& site, std::uint32_t index) {
        operation_ = &operation;
        site_ = &site;
        index_ = index;
        if constexpr (is_task_branch<Operation>) {
            coroutine_ = std::move(operation);
        } else if constexpr (stepwise_branch<Operation>) {
            coroutine_ = wait_in_steps(operation, site, index);
        } else {
            coroutine_ = wait_for(operation);
        }
        WEFT_CHECK(static_cast<bool>(coroutine_), "an empty task is a branch of a select");
        promise().context_ = &site.foreign_context();
        promise().completion_ = this;
    }

    [[nodiscard]] promise_base& promise() noexcept { return task_access::promise(coroutine_); }

    [[nodiscard]] result_type result() { return task_access::promise(coroutine_).take(); }

private:
    static task<result_type> wait_for(Operation& operation) {
        if constexpr (awaiter<Operation>) {
            co_return co_await operation;
        } else {
            co_return co_await std::move(operation);
        }
    }

    /// Completes the operation when it has the right to decide, and not before.
    static task<result_type> wait_in_steps(Operation& operation,
                                           select_site& site,
                                           std::uint32_t index) {
        std::error_code waited;
        while (!try_to_win(operation, site, index, waited)) {
            if (site.is_decided()) {
                co_await lost_branch();  // though what it waited for be ready, and the stop late
            }
            auto const ready = co_await operation.until_ready();
            waited = ready.error();
            if (waited == std::errc::operation_canceled) {
                co_await yield();  // unwinds
            }
        }
        co_return operation.take();
    }

    static bool try_to_win(Operation& operation,
                           select_site& site,
                           std::uint32_t index,
                           std::error_code waited) {
        if (!site.claim()) {
            return false;
        }
        bool complete = false;
        try {
            complete = operation.try_complete(waited);
        } catch (...) {
            site.roll_back();
            throw;
        }
        if (!complete) {
            site.roll_back();
            return false;
        }
        site.commit(index);
        site.wake();
        return true;
    }

    static std::coroutine_handle<> ended(completion& base, promise_base& promise) noexcept {
        auto& self = static_cast<select_branch&>(base);
        if constexpr (passing_branch<Operation>) {
            if (promise.outcome_ == outcome::value && !self.site_->decide_and_wake(self.index_)) {
                self.operation_->pass_on();
            }
        }
        self.site_->foreign_done(self.index_, promise.outcome_ == outcome::stopped);
        return std::noop_coroutine();
    }

    task<result_type> coroutine_;
    Operation* operation_ = nullptr;
    select_site* site_ = nullptr;
    std::uint32_t index_ = 0;
};

}  // namespace detail

}  // namespace weft
