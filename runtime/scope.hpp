#pragma once

/// Groups of coroutines that cannot outlive their owner.
///
/// Protocol of joining. `pending_` is twice the number of children, plus 1: the joiner's share.
///   start:      pending_ + 2, child scheduled (the joiner's share is held, or by a child)
///   child ends: its outcome is recorded, its frame and record are destroyed, then pending_ - 2
///   join:       joiner_ = who waits; pending_ - 1
///   Whoever brings pending_ to 0 tells joiner_.
/// I1 The decrement is a child's last access to the group, unless it reached 0: then the joiner has
///    given its share and is suspended until this very thread resumes it, so the group is still
///    alive.
/// I2 Outcomes are recorded before the decrement (release) and read after the join (acquire).

#include <weft/runtime/base/error.hpp>
#include <weft/runtime/base/mutex.hpp>
#include <weft/runtime/scheduler.hpp>
#include <weft/runtime/task.hpp>

#include <concepts>
#include <cstddef>
#include <exception>
#include <new>
#include <type_traits>
#include <utility>

namespace weft {

namespace detail {

/// Passes a stop on to a coroutine that waits for whoever was stopped: it is unwound, soon, on the
/// current worker.
[[nodiscard]] std::coroutine_handle<> pass_stop(promise_base& waiter) noexcept;

/// What a foreign thread waits on. Signalled once.
class thread_event {
public:
    void signal() noexcept;
    void wait() noexcept;

private:
    mutex mutex_;
    condition condition_;
    bool signalled_ = false;
};

class task_group {
public:
    enum class on_error : bool { keep_going, stop_siblings };

    /// Without a `home` nothing can be started.
    task_group(scheduler* home, stop_state* parent, on_error policy) noexcept
        : context_(home, parent)
        , policy_(policy) {}

    /// Under a coroutine, whose stop and surroundings its children inherit.
    task_group(context const& parent, on_error policy) noexcept
        : context_(parent)
        , policy_(policy) {}

    task_group(task_group const&) = delete;
    task_group& operator=(task_group const&) = delete;

    ~task_group() { WEFT_ASSERT(children() == 0, "a task group is destroyed with children alive"); }

    /// Owner before the join, or a child. Takes the task over and makes it ready.
    template <class T>
    void start(task<T> child) {
        WEFT_CHECK(static_cast<bool>(child), "an empty task is spawned");
        std::coroutine_handle<task_promise<T>> const frame = task_access::release(child);
        start(frame, frame.promise(), &child_error<T>);
    }

    /// Any thread.
    bool request_stop() noexcept { return context_.own_stop.request_stop(); }

    [[nodiscard]] stop_state& stop() noexcept { return context_.own_stop; }

    [[nodiscard]] context const& inherited() const noexcept { return context_; }

    /// Any thread; exact when nobody starts or ends.
    [[nodiscard]] std::size_t children() const noexcept;

    /// Owner, once. False when there is nothing to wait for; else `joiner` hears of `owner` when
    /// the last child has ended, on that child's thread.
    [[nodiscard]] bool join(completion& joiner, promise_base& owner) noexcept;

    /// Foreign thread, once.
    void join_blocking() noexcept;

    /// Owner before the join, or a child: counts an error and stops the siblings if that is the
    /// policy.
    void note_error(std::exception_ptr const& error) noexcept;

    /// After the join: a child was stopped.
    [[nodiscard]] bool was_child_stopped() const noexcept {
        // relaxed: observe — ordered by the count of the join (I2)
        return child_stopped_.load(relaxed);
    }

    /// Owner, after the join: the first error, or null.
    [[nodiscard]] std::exception_ptr take_error() noexcept {
        return std::exchange(first_error_, nullptr);
    }

    /// After the join: how many children ended with an error.
    [[nodiscard]] std::size_t error_count() const noexcept { return error_count_; }

    /// Set before the first start: hears of every child's error, on the child's worker.
    void (*error_hook)(std::exception_ptr const&) noexcept = nullptr;

private:
    struct child_record;
    static constexpr std::size_t joiner_share = 1;
    static constexpr std::size_t child_share = 2;
    using error_reader = std::exception_ptr (*)(promise_base&) noexcept;

    template <class T>
    static std::exception_ptr child_error(promise_base& promise) noexcept {
        return static_cast<task_promise<T>&>(promise).error();
    }

    void start(std::coroutine_handle<> frame, promise_base& promise, error_reader read_error);
    [[nodiscard]] std::coroutine_handle<> arrive() noexcept;

    // --- constant after construction -------------------------------------------
    stop_context context_;
    on_error policy_;

    // --- any thread, atomic (see Protocol) ---------------------------------------
    /// Written by start(), by ending children and by the joiner.
    atomic<std::size_t> pending_{joiner_share};
    /// Written by children that were stopped, read after the join.
    atomic<bool> child_stopped_{false};

    // --- joiner, before it gives its share; read by whoever reaches 0 -----------------
    completion* joiner_ = nullptr;
    promise_base* owner_ = nullptr;
    thread_event* joining_thread_ = nullptr;

    // --- any thread, under mutex_ ------------------------------------------------
    mutex mutex_;
    std::exception_ptr first_error_;
    std::size_t error_count_ = 0;
};

}  // namespace detail

/// Starts children that end before their scope does. Made by `scope`, passed to its body.
///
/// Thread safety: `spawn` from the scope's body and from its children, on any worker;
///     `request_stop` from any thread.
/// Cancellation: a stop of the surrounding task stops every child. A child that fails stops its
///     siblings.
/// Lifetime: lives until the scope's await ends; do not keep references beyond it.
/// Resumption: children start on the pool, in the order in which they were spawned if one worker
///     runs them.
/// Complexity: O(1) per spawn: one small record besides the child's frame.
/// Errors: `spawn` throws std::bad_alloc. An error of a child is rethrown by the scope's await.
/// Example: examples/hello.cpp
class nursery {
public:
    nursery(nursery const&) = delete;
    nursery& operator=(nursery const&) = delete;

    template <class T>
    void spawn(task<T> child) {
        group_->start(std::move(child));
    }

    /// Calls `function(arguments...)`, which gives a task. The callable and its arguments are
    /// copied into the child, so a lambda with captures is safe here.
    template <class Function, class... Arguments>
        requires std::is_invocable_v<Function&, Arguments&...>
    void spawn(Function function, Arguments... arguments) {
        group_->start(call(std::move(function), std::move(arguments)...));
    }

    bool request_stop() noexcept { return group_->request_stop(); }

    [[nodiscard]] stop_token token() noexcept { return stop_token(&group_->stop()); }

    [[nodiscard]] std::size_t children() const noexcept { return group_->children(); }

private:
    template <class Body>
    friend class scope_operation;

    explicit nursery(detail::task_group& group) noexcept : group_(&group) {}

    template <class Function, class... Arguments>
    static task<> call(Function function, Arguments... arguments) {
        auto inner = function(arguments...);
        co_await std::move(inner);
    }

    detail::task_group* group_;
};

/// What `co_await scope(body)` waits in.
template <class Body>
class [[nodiscard]] scope_operation : private detail::completion {
    using body_task = std::invoke_result_t<Body&, nursery&>;
    using value_type = typename body_task::value_type;
    using promise_type = typename body_task::promise_type;

public:
    explicit scope_operation(Body body)
        : completion(&body_done)
        , joined_(&children_done)
        , body_(std::move(body)) {}

    scope_operation(scope_operation const&) = delete;
    scope_operation& operator=(scope_operation const&) = delete;

    ~scope_operation() {
        if (state_.alive) {
            state_.value.~state();
        }
    }

    [[nodiscard]] bool await_ready() const noexcept { return false; }

    template <std::derived_from<detail::promise_base> Promise>
    [[nodiscard]] std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> parent) {
        detail::promise_base& owner = parent.promise();
        state& made = *::new (static_cast<void*>(&state_.value)) state(owner);
        state_.alive = true;
        try {
            made.body = body_(made.children);
        } catch (...) {
            made.group.note_error(std::current_exception());
            return join_children(owner);  // it may have spawned before it threw
        }
        WEFT_CHECK(static_cast<bool>(made.body), "the body of a scope gives an empty task");
        promise_type& promise = detail::task_access::promise(made.body);
        promise.context_ = &made.group.inherited();
        promise.parent_ = &owner;
        promise.completion_ = this;
        return promise.handle();
    }

    value_type await_resume() {
        if (!state_.value.body) {
            rethrow_child_error();
        }
        promise_type& promise = detail::task_access::promise(state_.value.body);
        if (promise.outcome_ == detail::outcome::value) {
            rethrow_child_error();
        } else if (promise.outcome_ == detail::outcome::stopped) {
            rethrow_child_error();
            if constexpr (std::is_void_v<value_type>) {
                return;  // stopped by its own request_stop(): it is over, and promises no more
            } else {
                throw operation_cancelled();
            }
        }
        return promise.take();
    }

private:
    struct state {
        explicit state(detail::promise_base& owner)
            : group(*owner.context_, detail::task_group::on_error::stop_siblings)
            , children(group) {}

        detail::task_group group;
        nursery children;
        body_task body;
    };

    /// Built at the await, when the context is known.
    struct lazy_state {
        lazy_state() noexcept {}

        ~lazy_state() {}

        union {
            state value;
        };

        bool alive = false;
    };

    /// The second ear: for the children, where the base class hears of the body.
    struct join_hook : completion {
        using completion::completion;
        scope_operation* self = nullptr;
    };

    static std::coroutine_handle<> body_done(completion& base,
                                             detail::promise_base& body) noexcept {
        auto& self = static_cast<scope_operation&>(base);
        detail::task_group& group = self.state_.value.group;
        if (body.outcome_ != detail::outcome::value) {
            group.request_stop();
        }
        return self.join_children(*body.parent_);
    }

    static std::coroutine_handle<> children_done(completion& base,
                                                 detail::promise_base& owner) noexcept {
        return static_cast<join_hook&>(base).self->finish(owner);
    }

    std::coroutine_handle<> join_children(detail::promise_base& owner) noexcept {
        joined_.self = this;
        // While children are alive, the join is the last access: the last of them goes on.
        return state_.value.group.join(joined_, owner) ? std::noop_coroutine() : finish(owner);
    }

    std::coroutine_handle<> finish(detail::promise_base& owner) noexcept {
        if (is_incomplete() && owner.stop().stop_requested()) {
            return detail::pass_stop(owner);
        }
        return owner.handle();
    }

    /// Nothing failed, but the body or a child was stopped.
    [[nodiscard]] bool is_incomplete() noexcept {
        state& made = state_.value;
        if (made.group.error_count() != 0) {
            return false;
        }
        auto const body_outcome = detail::task_access::promise(made.body).outcome_;
        return body_outcome == detail::outcome::stopped ||
               (body_outcome == detail::outcome::value && made.group.was_child_stopped());
    }

    void rethrow_child_error() {
        if (std::exception_ptr error = state_.value.group.take_error()) {
            std::rethrow_exception(std::move(error));
        }
    }

    join_hook joined_;
    Body body_;
    lazy_state state_;
};

/// Runs `body`, which gets a nursery, and joins every child before it returns, on every path.
///
/// `body` is `task<T>(nursery&)`; the await yields its value. If the body or a child fails, the
/// others are stopped and joined and the first error is rethrown.
///
/// Thread safety: awaited like any task.
/// Cancellation: a stop of the awaiting task stops the body and every child, and waits for them;
///     the task unwinds if that kept one of them from its end.
/// Lifetime: the body and what it captures live until the await ends; children may refer to the
///     body's captures, and to locals of the surrounding coroutine.
/// Resumption: where the last child (or the body) ended.
/// Complexity: no allocation besides the children's.
/// Errors: the first error of the body or of a child. `operation_cancelled` when a body that yields
///     a value was stopped by the nursery's own request_stop().
/// Example: examples/hello.cpp
template <class Body>
    requires std::is_invocable_v<Body&, nursery&>
[[nodiscard]] scope_operation<Body> scope(Body body) {
    return scope_operation<Body>(std::move(body));
}

}  // namespace weft
