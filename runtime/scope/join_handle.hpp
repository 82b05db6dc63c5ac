#pragma once

#include <weft/runtime/sched/pass_stop.hpp>
#include <weft/runtime/scope/detail/task_group.hpp>
#include <weft/runtime/task/as_result.hpp>
#include <weft/runtime/values/result.hpp>

#include <concepts>
#include <coroutine>
#include <source_location>
#include <string_view>
#include <type_traits>
#include <utility>

namespace weft {

template <class T>
class join_handle;

namespace detail {

struct handle_access;

/// A coroutine that waits for a child: the part that does not depend on what the child yields.
///
/// Protocol. The wait is registered with the waiter's stop first, then with the child's cell; the
/// cell decides between the child's end and the stop (handle_cell I2), and whoever has it schedules
/// the waiter, as its last access.
class handle_wait : private stop_node {
public:
    handle_wait(child_record& child, when_stopped policy) noexcept
        : stop_node(&on_stop)
        , child_(&child)
        , when_stopped_(policy) {}

    handle_wait(handle_wait const&) = delete;
    handle_wait& operator=(handle_wait const&) = delete;

    ~handle_wait() { withdraw(); }

    /// True when there is an outcome that needs no look at the waiter.
    [[nodiscard]] bool is_ready() const noexcept {
        return child_->cell().is_ended() && child_->ended_as() != outcome::stopped &&
               spend_budget();
    }

    /// Gives what runs next.
    [[nodiscard]] std::coroutine_handle<> begin(promise_base& waiter) noexcept;

    /// The child's last worker. The child's outcome can be read.
    void child_ended() noexcept;

    /// After the wait: it ended by the stop of the waiter, not by the child's end.
    [[nodiscard]] bool was_stopped() const noexcept { return stopped_; }

    /// After the wait, with the child ended otherwise than by a value: throws.
    [[noreturn]] void throw_outcome() const;

    /// The same where no exception is wanted: std::errc::operation_canceled, or the error's code.
    /// Rethrows an error that has none.
    [[nodiscard]] failure failure_code() const;

    [[nodiscard]] child_record& child() const noexcept { return *child_; }

private:
    static void on_stop(stop_node& node) noexcept;
    [[nodiscard]] std::coroutine_handle<> deliver_end() noexcept;

    // --- constant after construction, or begin() --------------------------------------
    child_record* child_;
    promise_base* waiter_ = nullptr;
    when_stopped when_stopped_;

    // --- whoever has the waiter ---------------------------------------------------------
    bool stopped_ = false;
};

}  // namespace detail

/// What `co_await handle.join()` waits in. `Owner` is the handle's type, or a reference to it: an
/// owning wait gives the value away.
template <class T, class Owner, bool ResultForm = false>
class [[nodiscard]] join_operation {
    static constexpr bool gives_away = !std::is_reference_v<Owner>;
    using value_type =
        std::conditional_t<std::is_void_v<T> || gives_away, T, std::add_lvalue_reference_t<T>>;

public:
    explicit join_operation(Owner&& owner) noexcept
        : owner_(static_cast<Owner&&>(owner))
        , wait_(owner_.child(),
                ResultForm ? detail::when_stopped::tell : detail::when_stopped::unwind) {}

    join_operation(join_operation const&) = delete;
    join_operation& operator=(join_operation const&) = delete;

    [[nodiscard]] bool await_ready() const noexcept { return wait_.is_ready(); }

    template <std::derived_from<detail::promise_base> Promise>
    [[nodiscard]] std::coroutine_handle<> await_suspend(
        std::coroutine_handle<Promise> waiter) noexcept {
        return wait_.begin(waiter.promise());
    }

    std::conditional_t<ResultForm, result<value_type>, value_type> await_resume() {
        if (wait_.was_stopped() || wait_.child().ended_as() != detail::outcome::value) {
            if constexpr (ResultForm) {
                return wait_.failure_code();
            } else {
                wait_.throw_outcome();
            }
        }
        if constexpr (!std::is_void_v<T>) {
            return static_cast<value_type&&>(owner_.child().value());
        } else if constexpr (ResultForm) {
            return {};
        }
    }

    /// As a branch of a select: the child has ended.
    [[nodiscard]] bool completes_now() const noexcept { return wait_.child().cell().is_ended(); }

    [[nodiscard]] join_operation<T, Owner, true> as_result() && noexcept
        requires(!ResultForm)
    {
        return join_operation<T, Owner, true>(static_cast<Owner&&>(owner_));
    }

private:
    Owner owner_;
    detail::handle_wait wait_;
};

/// A child's name, for `spawn`: `n.spawn(named("reader"), read(stream))`. Copied by the spawn.
class named {
public:
    explicit named(std::string_view name) noexcept : name_(name) {}

    [[nodiscard]] std::string_view name() const noexcept { return name_; }

private:
    std::string_view name_;
};

/// One child of a scope or runtime, for whoever wants its outcome or wants to stop it. Made by
/// `spawn`.
///
/// `co_await handle`, or `co_await handle.join()`, waits for the child's end and yields its value,
/// by reference as often as it is awaited; `co_await std::move(handle)` yields the value itself. An
/// error of the child is rethrown each time. A child that was stopped makes the await throw
/// operation_cancelled, unless the awaiting task is stopped as well: then it unwinds.
///
/// Dropping the handle means nothing to the child: its scope waits for it. A handle may outlive its
/// scope, and then holds the outcome. Joining does not change what a failing child does to a scope;
/// in a supervisor scope, an error that was rethrown by a join is not rethrown by the scope.
///
/// Thread safety: one owner at a time, and one await at a time. `request_stop` and `is_done` may be
///     called from any thread while the handle lives.
/// Cancellation: a stop of the awaiting task ends the await and unwinds the task; the child goes
///     on. `h.join() | as_result` gives std::errc::operation_canceled then, and also when the child
///     was stopped: `is_done()` tells which.
/// Lifetime: a reference that a join yielded is valid while the handle lives. The child's frame is
///     gone when the join ends: its arguments are destroyed.
/// Resumption: through the ready queue of the worker on which the child ended.
/// Complexity: O(1), no allocation.
/// Errors: the child's; operation_cancelled. Awaiting an empty handle aborts.
/// Example: examples/parallel_fetch.cpp
template <class T = void>
class WEFT_TRIVIAL_ABI join_handle {
public:
    using value_type = T;

    /// Empty: the handle of no child.
    join_handle() noexcept = default;

    join_handle(join_handle&& other) noexcept : child_(std::exchange(other.child_, nullptr)) {}

    join_handle& operator=(join_handle&& other) noexcept {
        join_handle(std::move(other)).swap(*this);
        return *this;
    }

    ~join_handle() {
        if (child_ != nullptr) {
            child_->drop_handle();
        }
    }

    void swap(join_handle& other) noexcept { std::swap(child_, other.child_); }

    /// False when empty.
    [[nodiscard]] explicit operator bool() const noexcept { return child_ != nullptr; }

    /// True when the child has ended: a join gives its outcome at once.
    [[nodiscard]] bool is_done() const noexcept { return child().cell().is_ended(); }

    /// The name that the child was spawned with, or nothing.
    [[nodiscard]] std::string_view name() const noexcept { return child().name(); }

    /// Asks the child, and nobody else, to stop. True for the first to ask, if the child had not
    /// ended.
    bool request_stop(stop_reason const& reason) const noexcept {
        return child().request_stop(reason);
    }

    bool request_stop(std::source_location at = std::source_location::current()) const noexcept {
        return child().request_stop(stop_reason(stop_kind::requested, at));
    }

    [[nodiscard]] join_operation<T, join_handle&> join() & noexcept {
        return join_operation<T, join_handle&>(*this);
    }

    [[nodiscard]] join_operation<T, join_handle> join() && noexcept {
        return join_operation<T, join_handle>(std::move(*this));
    }

    [[nodiscard]] join_operation<T, join_handle&> operator co_await() & noexcept { return join(); }

    [[nodiscard]] join_operation<T, join_handle> operator co_await() && noexcept {
        return std::move(*this).join();
    }

    /// For `handle | as_result`.
    [[nodiscard]] join_operation<T, join_handle&, true> as_result() & noexcept {
        return join_operation<T, join_handle&, true>(*this);
    }

    [[nodiscard]] join_operation<T, join_handle, true> as_result() && noexcept {
        return join_operation<T, join_handle, true>(std::move(*this));
    }

private:
    template <class, class, bool>
    friend class join_operation;
    friend struct detail::handle_access;

    explicit join_handle(detail::child_of<T>& child) noexcept : child_(&child) {}

    [[nodiscard]] detail::child_of<T>& child() const noexcept {
        WEFT_CHECK(child_ != nullptr, "an empty join_handle is used");
        return *child_;
    }

    detail::child_of<T>* child_ = nullptr;
};

namespace detail {

/// How the library makes handles.
struct handle_access {
    template <class T>
    [[nodiscard]] static join_handle<T> make(child_of<T>& child) noexcept {
        return join_handle<T>(child);
    }

    /// Starts a child for which `count_in()` finds a group and counts it there; where there is none
    /// any more, the child is destroyed, and its handle says that it was stopped.
    template <class T, class CountIn>
    [[nodiscard]] static join_handle<T> start_if_counted(task<T> child,
                                                         std::string_view name,
                                                         CountIn count_in) {
        WEFT_CHECK(static_cast<bool>(child),
                   "an empty task is spawned: a task can be spawned once");
        name_copy text(name);
        auto* const record = new child_of<T>;
        record->take_name(text);
        join_handle<T> handle = make(*record);
        if (task_group* const group = count_in(); group != nullptr) {
            group->start_counted(*record, std::move(child), !name.empty());
        } else {
            record->refuse();
        }
        return handle;
    }

    /// In a group that outlives the call.
    template <class T>
    [[nodiscard]] static join_handle<T> start_or_refuse(task<T> child,
                                                        std::string_view name,
                                                        task_group& group) {
        return start_if_counted(
            std::move(child), name, [&] { return group.count_child() ? &group : nullptr; });
    }
};

}  // namespace detail

}  // namespace weft
