#pragma once

/// What can be a branch of a select, and how each kind of it takes part.

#include <weft/runtime/join/detail/join_values.hpp>
#include <weft/runtime/scope/join_handle.hpp>
#include <weft/runtime/task/settled.hpp>
#include <weft/runtime/task/task.hpp>
#include <weft/runtime/time/sleep.hpp>
#include <weft/runtime/wait/wait_list.hpp>
#include <weft/sync/wait/channel_operation.hpp>
#include <weft/sync/wait/select_site.hpp>

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
/// await has ended, it refers no more to the stop state that it followed there. Whether it would
/// wait is found out by starting it, unless it has `bool completes_now()`: then true means that
/// await_resume() gives its result.
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

/// An operation that lends something (a mutex) to others while it waits. lend_to() says that a
/// select takes it back, and gives its address. When the wait is over, lender(), null if none has
/// begun, has lose(), for a branch that has lost, and take_back(), for the select.
/// Its await_ready() tells whether it would wait.
template <class Operation>
concept lending_branch = awaiter<Operation> && requires(Operation& operation, select_site& site) {
    { operation.lend_to(site) } -> std::same_as<void const*>;
    operation.lender()->lose(true);
    { operation.lender()->take_back() } -> std::same_as<bool>;
};

template <class Operation>
concept tells_by_itself = awaiter<Operation> && requires(Operation& operation) {
    { operation.completes_now() } -> std::same_as<bool>;
};

template <class Operation>
concept foreign_branch =
    is_task_branch<Operation> || stepwise_branch<Operation> || lending_branch<Operation> ||
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
    static constexpr bool lends = false;
    using result_type = await_result_t<Operation>;

    [[nodiscard]] select_place prepare(Operation& operation,
                                       select_site& site,
                                       std::uint32_t index) noexcept {
        operation_ = &operation;
        if constexpr (channel_branch<Operation>) {
            channel_waiter& place = channel_access::prepare(operation);
            place.join_site(site, index);
            return select_place(place);
        } else {
            return select_place(
                operation.join_site(site.as_arbiter(), index),
                &operation,
                [](void* wanted) noexcept { return static_cast<Operation*>(wanted)->try_now(); });
        }
    }

    void begin() const noexcept {}

    [[nodiscard]] void const* lent() const noexcept { return nullptr; }

    [[nodiscard]] result_type result() { return operation_->await_resume(); }

private:
    Operation* operation_ = nullptr;
};

/// Anything else: what can be asked, and a coroutine that runs under the stop state of the select.
/// The coroutine's frame goes at its end; a winner's outcome is kept here.
template <foreign_branch Operation>
    requires(!direct_operation<Operation>)
class select_branch<Operation> : private foreign_place {
    static constexpr bool is_task = is_task_branch<Operation>;
    static constexpr bool in_steps = stepwise_branch<Operation>;
    static constexpr bool is_asked =
        in_steps || lending_branch<Operation> || tells_by_itself<Operation>;

public:
    static constexpr bool is_foreign = true;
    static constexpr bool lends = lending_branch<Operation>;
    using result_type = await_result_t<Operation>;

    select_branch() noexcept : foreign_place(&ended, asks(), takes_back(), in_steps) {}

    [[nodiscard]] select_place prepare(Operation& operation,
                                       select_site& site,
                                       std::uint32_t index) noexcept {
        operation_ = &operation;
        site_ = &site;
        index_ = index;
        if constexpr (lends) {
            lent_ = operation.lend_to(site);
        }
        return select_place(static_cast<foreign_place&>(*this));
    }

    /// What it gives up while it waits, or null.
    [[nodiscard]] void const* lent() const noexcept { return lent_; }

    /// The select is going to wait.
    void begin() {
        if constexpr (is_task) {
            coroutine_ = std::move(*operation_);
        } else if constexpr (in_steps) {
            coroutine_ = wait_in_steps(*this);
        } else {
            coroutine_ = wait_for(*operation_);
        }
        WEFT_CHECK(static_cast<bool>(coroutine_), "an empty task is a branch of a select");
        promise_base& promise = task_access::promise(coroutine_);
        promise.context_ = &site_->foreign_context();
        promise.completion_ = this;
        begin_with(promise);
    }

    [[nodiscard]] result_type result() {
        if constexpr (is_asked) {
            if (completed_when_asked_) {
                return take_asked();
            }
        }
        return std::move(ended_).value();
    }

private:
    static constexpr ask_function asks() noexcept {
        if constexpr (is_asked) {
            return &ask_now;
        } else {
            return nullptr;
        }
    }

    static constexpr take_back_function takes_back() noexcept {
        if constexpr (lends) {
            return [](foreign_place& base) noexcept {
                auto* const lender = static_cast<select_branch&>(base).operation_->lender();
                return lender == nullptr || lender->take_back();
            };
        } else {
            return nullptr;
        }
    }

    static bool ask_now(foreign_place& base) noexcept {
        auto& self = static_cast<select_branch&>(base);
        try {
            self.completed_when_asked_ = self.completes_now();
        } catch (...) {
            settled_access::fail(self.ended_, std::current_exception());
            return true;
        }
        return self.completed_when_asked_;
    }

    [[nodiscard]] bool completes_now() {
        if constexpr (in_steps) {
            return operation_->try_complete(std::error_code());
        } else if constexpr (tells_by_itself<Operation>) {
            return operation_->completes_now();
        } else {
            return operation_->await_ready();
        }
    }

    [[nodiscard]] result_type take_asked() {
        if constexpr (in_steps) {
            return operation_->take();
        } else {
            return operation_->await_resume();
        }
    }

    static task<result_type> wait_for(Operation& operation) {
        if constexpr (awaiter<Operation>) {
            co_return co_await operation;
        } else {
            co_return co_await std::move(operation);
        }
    }

    /// Completes the operation when it has the right to decide, and not before.
    static task<result_type> wait_in_steps(select_branch& self) {
        std::error_code waited;
        while (!self.try_to_win(waited)) {
            if (self.site_->is_decided()) {
                co_await lost_branch();  // though what it waited for be ready, and the stop late
            }
            auto const ready = co_await self.operation_->until_ready();
            waited = ready.error();
            if (waited == std::errc::operation_canceled) {
                co_await yield();  // unwinds
            }
        }
        co_return self.operation_->take();
    }

    [[nodiscard]] bool try_to_win(std::error_code waited) {
        if (!site_->begin_try()) {
            return false;
        }
        try {
            won_ = operation_->try_complete(waited);
        } catch (...) {
            site_->end_try();
            throw;
        }
        if (won_) {
            site_->win_by_try(index_);
        } else {
            site_->end_try();
        }
        return won_;
    }

    static std::coroutine_handle<> ended(end_hook& base, promise_base& promise) noexcept {
        auto& self = static_cast<select_branch&>(static_cast<foreign_place&>(base));
        outcome const how = promise.outcome_;
        bool const decides =
            self.site_->decide(how == outcome::stopped ? select_site::nobody : self.index_);
        if (decides || self.won_) {
            settled_access::move_outcome(static_cast<task_promise<result_type>&>(promise),
                                         self.ended_);
        }
        self.coroutine_ = {};  // keeps select_site I4
        if constexpr (lends) {
            if (auto* const lender = self.operation_->lender(); lender != nullptr && !decides) {
                lender->lose(how == outcome::value);
            }
        }
        self.site_->foreign_done(decides);
        return std::noop_coroutine();
    }

    Operation* operation_ = nullptr;
    select_site* site_ = nullptr;
    void const* lent_ = nullptr;
    std::uint32_t index_ = 0;
    bool won_ = false;  // by a try
    bool completed_when_asked_ = false;
    task<result_type> coroutine_;
    settled<result_type> ended_;
};

}  // namespace detail

}  // namespace weft
