#pragma once

/// Groups of coroutines that cannot outlive their owner.
///
/// Protocol. A scope goes through these states, one after the other, each begun by whoever ended
/// the one before:
///   body      the body runs as a child of the awaiting coroutine, in the group's surroundings
///   children  the body has ended; a failed or stopped body has stopped the children. The group is
///             joined (task_group.hpp)
///   clean-ups the last child has ended, and remote nurseries are closed. Each clean-up that was
///             deferred runs, the youngest first
///   ended     the awaiting coroutine is resumed, or unwound
/// I1 The awaiting coroutine is unwound only when it is stopped itself, nothing failed, and the
///    stop kept the body or a child from its end.
/// I2 Every error that left the body or a child, and that no join handed out in a supervisor scope,
///    is in what the await throws.

#include <weft/runtime/sched/pass_stop.hpp>
#include <weft/runtime/scope/detail/task_group.hpp>
#include <weft/runtime/scope/nursery.hpp>
#include <weft/runtime/task/as_result.hpp>
#include <weft/runtime/task/exception_group.hpp>
#include <weft/runtime/values/error.hpp>

#include <concepts>
#include <coroutine>
#include <cstdint>
#include <exception>
#include <new>
#include <type_traits>
#include <utility>

namespace weft {

namespace detail {

/// What the body of a scope came to. Its frame goes when it ends: a child may wait for what is in
/// it.
class body_sink {
public:
    using keep_function = void (*)(body_sink& self, promise_base& body) noexcept;

    void keep(promise_base& body) noexcept { keep_(*this, body); }

protected:
    explicit body_sink(keep_function function) noexcept : keep_(function) {}

    ~body_sink() = default;

private:
    keep_function keep_;
};

template <class T>
class typed_body_sink : public body_sink {
public:
    typed_body_sink() noexcept : body_sink(&keep_typed) {}

    /// Stopped until there is another outcome.
    [[nodiscard]] settled<T>& ended() noexcept { return ended_; }

private:
    static void keep_typed(body_sink& base, promise_base& body) noexcept {
        settled_access::move_outcome(static_cast<task_promise<T>&>(body),
                                     static_cast<typed_body_sink&>(base).ended_);
        body.handle().destroy();
    }

    settled<T> ended_;
};

/// The part of a scope that does not depend on its body.
class scope_core : private end_hook {
public:
    /// `stopped`: what a stop of the awaiting coroutine does to it.
    scope_core(promise_base& owner, on_error policy, when_stopped stopped) noexcept;

    scope_core(scope_core const&) = delete;
    scope_core& operator=(scope_core const&) = delete;

    [[nodiscard]] nursery& children() noexcept { return nursery_; }

    /// Once. Gives what runs next: the body, whose outcome goes to `kept`.
    [[nodiscard]] std::coroutine_handle<> run(promise_base& body, body_sink& kept) noexcept;

    /// Once, instead: the awaiting coroutine is stopped already, and no body is to start.
    [[nodiscard]] std::coroutine_handle<> run_nothing() noexcept;

    /// Once, instead: the body threw before it gave its task.
    [[nodiscard]] std::coroutine_handle<> run_failed(std::exception_ptr error) noexcept;

    /// After the await, once: what there is to throw, the body's error first, or null. Throws
    /// std::bad_alloc.
    [[nodiscard]] std::exception_ptr take_error(std::exception_ptr const& of_body);

    /// After the await: a stop of the awaiting coroutine kept the body or a child from its end.
    [[nodiscard]] bool was_cut_short() const noexcept;

private:
    /// Called when the last child has ended; the base class is called when the body has.
    struct join_hook : end_hook {
        explicit join_hook(scope_core& core) noexcept : end_hook(&children_ended), self(&core) {}

        scope_core* self;
    };

    /// Called when a clean-up has ended.
    struct cleanup_hook : end_hook {
        explicit cleanup_hook(scope_core& core) noexcept : end_hook(&cleanup_ended), self(&core) {}

        scope_core* self;
    };

    static std::coroutine_handle<> body_ended(end_hook& base, promise_base& body) noexcept;
    static std::coroutine_handle<> children_ended(end_hook& base, promise_base& owner) noexcept;
    static std::coroutine_handle<> cleanup_ended(end_hook& base, promise_base& done) noexcept;
    [[nodiscard]] std::coroutine_handle<> join_children() noexcept;
    [[nodiscard]] std::coroutine_handle<> clean_up() noexcept;
    [[nodiscard]] std::coroutine_handle<> finish() noexcept;

    // --- constant after construction -------------------------------------------
    promise_base* owner_;
    when_stopped when_stopped_;

    // --- any thread (their own protocols) ----------------------------------------
    task_group group_;
    nursery_extras extras_;
    nursery nursery_;

    // --- whoever ends a state -----------------------------------------------------------
    join_hook joined_;
    cleanup_hook cleaned_;
    body_sink* kept_ = nullptr;
    outcome body_ended_as_ = outcome::error;
    std::exception_ptr early_error_;  // thrown before there was a body
};

}  // namespace detail

namespace detail {

template <class Body>
concept scope_body =
    std::is_invocable_v<Body&, nursery&> && is_task<std::invoke_result_t<Body&, nursery&>>;

}  // namespace detail

/// What `co_await scope(body)` waits in; the result form gives a result<T> and hides the stop.
template <class Body, bool ResultForm = false>
class [[nodiscard]] scope_operation {
    using value_type = typename std::invoke_result_t<Body&, nursery&>::value_type;
    using body_task = task<value_type>;

public:
    scope_operation(Body body, detail::on_error policy) : body_(std::move(body)), policy_(policy) {}

    scope_operation(scope_operation const&) = delete;
    scope_operation& operator=(scope_operation const&) = delete;

    ~scope_operation() {
        if (begun_) {
            core_.~scope_core();
        }
    }

    [[nodiscard]] bool await_ready() const noexcept { return false; }

    template <std::derived_from<detail::promise_base> Promise>
    [[nodiscard]] std::coroutine_handle<> await_suspend(
        std::coroutine_handle<Promise> parent) noexcept {
        WEFT_CHECK(!begun_, "a scope is awaited twice");
        ::new (static_cast<void*>(&core_)) detail::scope_core(
            parent.promise(),
            policy_,
            ResultForm ? detail::when_stopped::tell : detail::when_stopped::unwind);
        begun_ = true;
        if (parent.promise().stop().stop_requested()) [[unlikely]] {
            return core_.run_nothing();
        }
        body_task body;
        try {
            body = body_(core_.children());
        } catch (...) {
            return core_.run_failed(std::current_exception());  // it may have spawned before
        }
        WEFT_CHECK(static_cast<bool>(body), "the body of a scope gives an empty task");
        return core_.run(detail::task_access::release_promise(body), ended_);
    }

    std::conditional_t<ResultForm, result<value_type>, value_type> await_resume() {
        std::exception_ptr error = core_.take_error(ended_.ended().error());
        if constexpr (ResultForm) {
            if (error != nullptr) {
                return failure(detail::error_code_of(error));
            }
            if (core_.was_cut_short()) {
                return failure(std::errc::operation_canceled);
            }
        } else if (error != nullptr) {
            std::rethrow_exception(std::move(error));
        }
        return value_of_body();
    }

    [[nodiscard]] scope_operation<Body, true> as_result() && noexcept(
        std::is_nothrow_move_constructible_v<Body>)
        requires(!ResultForm)
    {
        return scope_operation<Body, true>(std::move(body_), policy_);
    }

private:
    /// The body has a value, or was stopped by the nursery's own request_stop().
    std::conditional_t<ResultForm, result<value_type>, value_type> value_of_body() {
        if constexpr (std::is_void_v<value_type>) {
            if constexpr (ResultForm) {
                return {};  // it is over either way, and promised no more
            }
        } else if constexpr (ResultForm) {
            return detail::result_of(std::move(ended_.ended()));
        } else {
            return std::move(ended_.ended()).value();
        }
    }

    Body body_;
    detail::on_error policy_;
    bool begun_ = false;

    union {
        detail::scope_core core_;  // built at the await, when the context is known
    };

    detail::typed_body_sink<value_type> ended_;
};

/// Runs `body`, which gets a nursery, and joins every child before it returns, on every path.
///
/// `body` is `task<T>(nursery&)`; the await yields its value. If the body or a child fails, the
/// others are stopped and joined.
///
/// Thread safety: awaited like any task.
/// Cancellation: a stop of the awaiting task stops the body and every child, and waits for them;
///     the task unwinds if that kept one of them from its end. On a task that is stopped already
///     the body does not start.
/// Lifetime: the body and what it captures live until the await ends; children may refer to the
///     body's captures, and to locals of the surrounding coroutine.
/// Resumption: where the last child (or the body) ended.
/// Complexity: no allocation besides the children's.
/// Errors: an error that is alone is rethrown itself. Several are thrown as an exception_group: the
///     body's first, then the children's in the order in which they failed; one that passed through
///     a join is there once. `operation_cancelled` when a body that yields a value was stopped by
///     the nursery's own request_stop(). `scope(body) | as_result` gives the code of an error that
///     is alone and has one; others are rethrown.
/// Example: examples/hello.cpp
template <detail::scope_body Body>
[[nodiscard]] scope_operation<Body> scope(Body body) {
    return scope_operation<Body>(std::move(body), detail::on_error::stop_siblings);
}

/// In place of a scope whose body is none.
template <class Body>
[[nodiscard]] task<> scope(Body) {
    static_assert(
        detail::never<Body>,
        "the body of a scope takes a nursery& and gives a task: [&](nursery& n) -> task<>");
    return {};
}

/// The same, but a child that fails does not stop the others. Its error is thrown when all have
/// ended, unless a join of its handle has handed it out. A body that fails stops the children.
///
/// Thread safety, cancellation, lifetime, resumption, complexity: as for scope. The errors of
///     children are kept until the scope ends.
/// Errors: as for scope.
/// Example: examples/parallel_fetch.cpp
template <detail::scope_body Body>
[[nodiscard]] scope_operation<Body> supervisor_scope(Body body) {
    return scope_operation<Body>(std::move(body), detail::on_error::keep_going);
}

template <class Body>
[[nodiscard]] task<> supervisor_scope(Body) {
    static_assert(
        detail::never<Body>,
        "the body of a scope takes a nursery& and gives a task: [&](nursery& n) -> task<>");
    return {};
}

}  // namespace weft
