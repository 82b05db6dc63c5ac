#pragma once

#include <weft/runtime/base/time_span.hpp>
#include <weft/runtime/coro/ready_budget.hpp>
#include <weft/runtime/scope/detail/spawn_gate.hpp>
#include <weft/runtime/scope/detail/task_group.hpp>
#include <weft/runtime/scope/join_handle.hpp>
#include <weft/runtime/scope/remote_nursery.hpp>
#include <weft/runtime/task/call.hpp>

#include <cstddef>
#include <source_location>
#include <string_view>
#include <type_traits>
#include <utility>

namespace weft {

namespace detail {

class scope_core;

/// What a scope's nursery has beside a group: what is seldom used.
class nursery_extras {
public:
    nursery_extras() noexcept = default;
    nursery_extras(nursery_extras const&) = delete;
    nursery_extras& operator=(nursery_extras const&) = delete;
    ~nursery_extras();

    /// Any thread.
    [[nodiscard]] spawn_gate& gate() noexcept { return gate_; }

    /// Any thread that keeps the scope open. Takes the clean-up over; throws std::bad_alloc.
    void add_cleanup(task<> work, time_span limit, std::source_location at, bool has_workers);

    /// The youngest clean-up, or null.
    [[nodiscard]] promise_base* take_cleanup() noexcept;

    /// Any thread that keeps the scope open. Throws std::bad_alloc.
    [[nodiscard]] remote_gate& remote(task_group& group);

    /// The scope, when its last child has ended.
    void close() noexcept;

private:
    spawn_gate gate_;

    // --- any thread, under mutex_ ------------------------------------------------
    mutex mutex_;
    promise_base* cleanups_ = nullptr;  // youngest first
    remote_gate* remote_ = nullptr;
};

/// Keeps a slot of the gate for as long as the child's frame lives.
template <class T>
task<T> run_in_slot([[maybe_unused]] gate_slot slot, task<T> work) {
    co_return co_await std::move(work);
}

}  // namespace detail

/// How a stop is to happen.
struct stop_options {
    /// Between the soft stop, which asks children to come to an end, and the hard one, which
    /// unwinds those that are left. Zero: both at once.
    time_span grace = time_span();
};

template <class T>
class spawn_operation;

/// Starts children that end before their scope does. Made by `scope`, passed to its body.
///
/// Thread safety: `spawn` from the scope's body and from its children, on any worker, and from any
///     other thread while the body or a child keeps the scope open; `request_stop` from any thread.
/// Cancellation: a stop of the surrounding task stops every child. A child that fails stops its
///     siblings, except in a supervisor scope.
/// Lifetime: lives until the scope's await ends; do not keep references beyond it. A spawn into a
///     scope that has ended aborts, as far as it is noticed.
/// Resumption: children start on the pool, in the order in which they were spawned if one worker
///     runs them. A child that is spawned after a stop starts, too, and is stopped at its first
///     await.
/// Complexity: O(1) per spawn. A record of its own costs memory for as long as a child has a
///     handle, a name or a value; other children cost their frame.
/// Errors: `spawn` throws std::bad_alloc; then the task is destroyed. An error of a child is
///     rethrown by the scope's await.
/// Example: examples/hello.cpp
class nursery {
public:
    nursery(nursery const&) = delete;
    nursery& operator=(nursery const&) = delete;

    /// The handle may be dropped.
    template <detail::plain_value T>
    join_handle<T> spawn(task<T> child) {
        return make(std::move(child), {});
    }

    /// Calls `function(arguments...)`, which gives something to await. The callable and its
    /// arguments are moved or copied into the child, so a lambda with captures is safe here; see
    /// call().
    template <class Function, class... Arguments>
    auto spawn(Function function, Arguments... arguments) {
        return spawn(detail::as_owned_task(std::move(function), std::move(arguments)...));
    }

    /// Without a handle: such a child costs its frame and nothing else from the beginning.
    void spawn_without_handle(task<> child) noexcept { group_->start_plain(std::move(child)); }

    /// As in spawn(); a value is dropped.
    template <class Function, class... Arguments>
    void spawn_without_handle(Function function, Arguments... arguments) {
        spawn_without_handle(detail::without_value(
            detail::as_owned_task(std::move(function), std::move(arguments)...)));
    }

    /// The name appears in the text of an exception_group.
    template <detail::plain_value T>
    join_handle<T> spawn(named name, task<T> child) {
        return make(std::move(child), name.name());
    }

    template <class Function, class... Arguments>
    auto spawn(named name, Function function, Arguments... arguments) {
        return spawn(name, detail::as_owned_task(std::move(function), std::move(arguments)...));
    }

    /// `co_await n.spawn_when_free(task)` yields the child's handle. It waits while as many
    /// children that were started like this are alive as set_limit() allows; first come, first
    /// served. A stop of the waiting task ends the wait, and the child is not started.
    template <detail::plain_value T>
    [[nodiscard]] spawn_operation<T> spawn_when_free(task<T> child) noexcept {
        return spawn_operation<T>(*this, std::move(child));
    }

    template <class Function, class... Arguments>
    [[nodiscard]] auto spawn_when_free(Function function, Arguments... arguments) {
        return spawn_when_free(detail::as_owned_task(std::move(function), std::move(arguments)...));
    }

    /// The name is copied when the child starts.
    template <detail::plain_value T>
    [[nodiscard]] spawn_operation<T> spawn_when_free(named name, task<T> child) noexcept {
        return spawn_operation<T>(*this, std::move(child), name.name());
    }

    template <class Function, class... Arguments>
    [[nodiscard]] auto spawn_when_free(named name, Function function, Arguments... arguments) {
        return spawn_when_free(name,
                               detail::as_owned_task(std::move(function), std::move(arguments)...));
    }

    /// Any thread. How many children of spawn_when_free() run at once; at first without limit.
    /// Children that run already go on when the limit is lowered; with 0, none starts until it is
    /// raised.
    void set_limit(std::size_t children_max) noexcept { extras_->gate().set_limit(children_max); }

    /// Runs `cleanup` after the last child has ended, on every path: value, error or stopped.
    /// Clean-ups run one after the other, the youngest first. No stop reaches them but that of
    /// `limit`, which counts from the start of each; an error of theirs is thrown by the scope.
    void defer(time_span limit,
               task<> cleanup,
               std::source_location at = std::source_location::current()) {
        extras_->add_cleanup(std::move(cleanup), limit, at, group_->inherited().sched != nullptr);
    }

    /// The same with default_cleanup_limit.
    void defer(task<> cleanup, std::source_location at = std::source_location::current()) {
        defer(default_limit(), std::move(cleanup), at);
    }

    /// The same with a callable that gives something to await when its time has come. A value is
    /// dropped.
    template <class Function>
    void defer(time_span limit,
               Function cleanup,
               std::source_location at = std::source_location::current()) {
        defer(limit, detail::without_value(detail::as_owned_task(std::move(cleanup))), at);
    }

    template <class Function>
    void defer(Function cleanup, std::source_location at = std::source_location::current()) {
        defer(default_limit(), std::move(cleanup), at);
    }

    /// A nursery for other threads, which may be used when this scope has ended, too. Throws
    /// std::bad_alloc.
    [[nodiscard]] remote_nursery remote() {
        detail::remote_gate& gate = extras_->remote(*group_);
        gate.share();
        return remote_nursery(gate);
    }

    /// Asks the body and every child to stop. True for the first to ask.
    bool request_stop(stop_reason const& reason) noexcept { return group_->request_stop(reason); }

    bool request_stop(std::source_location at = std::source_location::current()) noexcept {
        return request_stop(stop_reason(stop_kind::requested, at));
    }

    /// Asks softly first: `n.request_stop("draining", {.grace = 5s})`. True when this grace counts.
    /// Children hear of it by this_task::soft_stop_requested() and the like.
    bool request_stop(stop_reason const& reason, stop_options options) noexcept {
        return group_->request_stop(reason, options.grace);
    }

    /// The token of the stop that the children follow.
    [[nodiscard]] stop_token token() noexcept { return stop_token(&group_->stop()); }

    /// The token of the soft stop.
    [[nodiscard]] stop_token soft_token() noexcept { return stop_token(&group_->soft_stop()); }

    /// How many children have not ended; exact when nobody starts or ends.
    [[nodiscard]] std::size_t children() const noexcept { return group_->children(); }

private:
    friend class detail::scope_core;
    template <class>
    friend class spawn_operation;

    nursery(detail::task_group& group, detail::nursery_extras& extras) noexcept
        : group_(&group)
        , extras_(&extras) {}

    [[nodiscard]] static time_span default_limit() noexcept;

    template <class T>
    join_handle<T> make(task<T> child, std::string_view name) {
        return detail::handle_access::make(group_->spawn(std::move(child), name));
    }

    detail::task_group* group_;
    detail::nursery_extras* extras_;
};

/// What `co_await n.spawn_when_free(task)` waits in.
template <class T>
class [[nodiscard]] spawn_operation {
public:
    spawn_operation(nursery& owner, task<T> child, std::string_view name = {}) noexcept
        : owner_(&owner)
        , child_(std::move(child))
        , name_(name)
        , wait_(owner.extras_->gate()) {
        WEFT_CHECK(static_cast<bool>(child_),
                   "an empty task is spawned: a task can be spawned once");
    }

    spawn_operation(spawn_operation const&) = delete;
    spawn_operation& operator=(spawn_operation const&) = delete;

    [[nodiscard]] bool await_ready() noexcept {
        return detail::spend_budget() && owner_->extras_->gate().try_enter();
    }

    template <std::derived_from<detail::promise_base> Promise>
    [[nodiscard]] std::coroutine_handle<> await_suspend(
        std::coroutine_handle<Promise> waiter) noexcept {
        return wait_.start(waiter.promise());
    }

    join_handle<T> await_resume() {
        detail::gate_slot slot(owner_->extras_->gate());
        return owner_->make(detail::run_in_slot(std::move(slot), std::move(child_)), name_);
    }

private:
    nursery* owner_;
    task<T> child_;
    std::string_view name_;
    detail::gate_wait wait_;
};

}  // namespace weft
