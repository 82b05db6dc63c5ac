#pragma once

#include <weft/runtime/task/as_result.hpp>
#include <weft/runtime/task/task.hpp>
#include <weft/runtime/wait/wait_list.hpp>
#include <weft/sync/wait/queued_call.hpp>

#include <concepts>
#include <coroutine>
#include <cstdint>
#include <exception>
#include <new>
#include <system_error>
#include <type_traits>
#include <utility>

namespace weft {

namespace detail {

class once_wait;

/// What `once` and `lazy` are behind their names.
///
/// Protocol. The word: open → running (one caller runs) ⇄ contended (others wait; under lock_ only)
/// → done; or back to open when the run failed and nobody waits. A caller that fails makes the
/// first of those who wait run.
/// I1 At most one caller runs at a time; none once it is done.
/// I2 The end of a run that nobody waits for is announced by the exchange of the word, the last
///    access: whoever sees it may destroy the object. Otherwise to wake the others is.
class once_core {
public:
    once_core() noexcept = default;
    once_core(once_core const&) = delete;
    once_core& operator=(once_core const&) = delete;

    ~once_core();

    [[nodiscard]] bool is_done() const noexcept {
        // acquire: observe what the run has made; pairs with finish():publish
        return word_.load(acquire) == done;
    }

    /// True when the caller is to run.
    [[nodiscard]] bool try_start() noexcept {
        std::uint32_t expected = open;
        // acquire: claim the run and observe what an earlier one left; pairs with finish():publish.
        // The loser (relaxed: hint) waits.
        return word_.compare_exchange_strong(expected, running, acquire, relaxed);
    }

    /// The caller that ran.
    void finish(bool succeeded) noexcept;

    // --- under queue_lock() -----------------------------------------------------------

    /// True when it is done, or the caller is to run; else the waiter is in the queue.
    [[nodiscard]] bool start_or_enlist(once_wait& wait) noexcept;

    /// A waiter has left the queue.
    void waiter_left() noexcept;

    [[nodiscard]] wait_lock& queue_lock() noexcept { return lock_; }

private:
    static constexpr std::uint32_t open = 0;
    static constexpr std::uint32_t running = 1;
    static constexpr std::uint32_t contended = 2;
    static constexpr std::uint32_t done = 3;

    [[nodiscard]] bool pass_on(bool succeeded, waiter_list& woken) noexcept;

    // --- any thread, atomic (see Protocol) ---------------------------------------
    /// Written by who starts and ends a run; read by callers.
    atomic<std::uint32_t> word_{open};

    // --- any thread, under lock_ ---------------------------------------------------
    wait_lock lock_;
    waiter_list waiters_;
};

/// The part of a call that does not depend on types: waits for another caller's run, or runs.
class once_wait : public waiter, private queued_call {
public:
    /// The suspended caller. Gives what runs next: the body, if it is to run, or the caller.
    [[nodiscard]] std::coroutine_handle<> start(promise_base& caller) noexcept;

    /// Before start(): a stop is told to the caller instead of unwinding it.
    using waiter::tell_when_stopped;

    /// After the end: the body, or the wait for another caller, was stopped.
    [[nodiscard]] bool ended_stopped() const noexcept { return body_stopped_ || was_stopped(); }

    /// After the end: what went wrong, or null.
    [[nodiscard]] std::exception_ptr const& error() const noexcept { return error_; }

protected:
    /// Makes the body and gives its promise; throws what making it throws.
    using body_maker = promise_base& (*)(once_wait& self);
    /// The body has ended: keeps its outcome, and its frame goes. Throws what keeping it throws.
    using outcome_keeper = void (*)(once_wait& self, promise_base& body);

    once_wait(once_core& core, body_maker make, outcome_keeper keep) noexcept;
    ~once_wait();

    void fail(std::exception_ptr error) noexcept { error_ = std::move(error); }

private:
    friend class once_core;

    static void turn(waiter& self) noexcept;

    /// Hears of the body's end.
    struct body_hook : detail::end_hook {
        explicit body_hook(once_wait& owner) noexcept : end_hook(&body_done), self(&owner) {}

        once_wait* self;
    };

    static std::coroutine_handle<> on_turn(queued_call& self) noexcept;
    static std::coroutine_handle<> body_done(detail::end_hook& hook, promise_base& body) noexcept;
    [[nodiscard]] std::coroutine_handle<> run_body() noexcept;

    static wait_rules const rules;

    // --- constant after construction -------------------------------------------
    once_core* core_;
    body_maker make_;
    outcome_keeper keep_;

    // --- whoever runs, or makes it run -----------------------------------------------
    promise_base* caller_ = nullptr;
    body_hook hook_;
    bool runs_ = false;  // it is to run, and does not yet
    bool body_stopped_ = false;
    std::exception_ptr error_;
};

/// A call, with the body that it may run. `Owner`: see once_operation.
template <class Owner>
class typed_once_wait : public once_wait {
    using body_task = typename Owner::body;
    using body_value = typename body_task::value_type;

public:
    explicit typed_once_wait(Owner& owner) noexcept
        : once_wait(owner.core(), &make_body, &keep_outcome)
        , owner_(&owner) {}

private:
    static promise_base& make_body(once_wait& base) {
        auto& self = static_cast<typed_once_wait&>(base);
        self.body_ = self.owner_->make();
        WEFT_CHECK(static_cast<bool>(self.body_), "what is done once gives an empty task");
        return task_access::promise(self.body_);
    }

    static void keep_outcome(once_wait& base, promise_base& body) {
        auto& self = static_cast<typed_once_wait&>(base);
        body_task const ended(std::move(self.body_));  // goes in any case
        auto& promise = static_cast<task_promise<body_value>&>(body);
        if (promise.outcome_ == outcome::error) {
            self.fail(promise.error());
        } else if constexpr (!std::is_void_v<body_value>) {
            if (promise.outcome_ == outcome::value) {
                self.owner_->keep(promise.take_value());
            }
        }
    }

    Owner* owner_;
    body_task body_;
};

/// `Owner` has a once_core and what is done once:
///     using body = …;                   the type of task that does it
///     once_core& core();
///     body make();                      called by the caller that runs
///     void keep(value&&);               of a body that yields a value
///     T take();                         what the await yields
template <class Owner, bool ResultForm = false>
class [[nodiscard]] once_operation {
    using value_type = decltype(std::declval<Owner&>().take());

public:
    static constexpr bool leaves_no_trace = true;  // what it has done stays done

    explicit once_operation(Owner owner) : owner_(std::move(owner)) {}

    once_operation(once_operation const&) = delete;
    once_operation& operator=(once_operation const&) = delete;

    ~once_operation() {
        if (begun_) {
            wait_.~typed_once_wait();
        }
    }

    [[nodiscard]] bool await_ready() const noexcept {
        return spend_budget() && owner_.core().is_done();
    }

    template <std::derived_from<promise_base> Promise>
    [[nodiscard]] std::coroutine_handle<> await_suspend(
        std::coroutine_handle<Promise> caller) noexcept {
        WEFT_ASSERT(!begun_, "an operation is awaited twice");
        promise_base& promise = caller.promise();
        // Before it takes effect: keeps S3 of promise.hpp.
        if (budget_is_spent() && !promise.stop().stop_requested() && owner_.core().is_done())
            [[unlikely]] {
            return go_on(promise);
        }
        begun_ = true;
        auto& wait = *::new (static_cast<void*>(&wait_)) typed_once_wait<Owner>(owner_);
        if constexpr (ResultForm) {
            wait.tell_when_stopped();
        }
        return wait.start(promise);
    }

    std::conditional_t<ResultForm, result<value_type>, value_type> await_resume() {
        auto const thrown = begun_ ? wait_.error() : nullptr;
        if constexpr (ResultForm) {
            if (begun_ && wait_.ended_stopped()) {
                return failure(std::errc::operation_canceled);
            }
            if (thrown != nullptr) {
                return failure(error_code_of(thrown));
            }
        } else if (thrown != nullptr) {
            std::rethrow_exception(thrown);
        }
        if constexpr (ResultForm && std::is_void_v<value_type>) {
            return {};
        } else {
            return owner_.take();
        }
    }

    [[nodiscard]] auto as_result() && noexcept(std::is_nothrow_move_constructible_v<Owner>)
        requires(!ResultForm)
    {
        return once_operation<Owner, true>(std::move(owner_));
    }

private:
    Owner owner_;
    bool begun_ = false;

    union {
        typed_once_wait<Owner> wait_;
    };
};

template <class Function>
struct once_call {
    using body = task<typename std::invoke_result_t<Function&>::value_type>;

    once_call(once_core& once, Function what) : core_(&once), function(std::move(what)) {}

    [[nodiscard]] once_core& core() const noexcept { return *core_; }

    [[nodiscard]] body make() { return function(); }

    template <class Value>
    void keep(Value&&) const noexcept {}

    void take() const noexcept {}

    once_core* core_;
    Function function;
};

}  // namespace detail

/// Sees to it that something is done once, whoever asks for it first; the others wait until it is.
///
///     co_await once.call([this] { return connect(); });
///
/// A call whose task fails or is stopped leaves it undone: the error is the caller's, and the next
/// caller tries, first the one that has waited longest.
///
/// Thread safety: `call` and `is_done` may be called from any thread at the same time.
/// Cancellation: a stop ends a wait for another caller. The caller that runs is stopped in what it
///     runs. Success wins: what is done is done, and a stopped task passes.
/// Lifetime: must outlive every operation on it. The last task that goes on may destroy it.
/// Resumption: the caller that runs goes on where its task ended; the others through their
///     schedulers.
/// Complexity: one atomic load once it is done. Else O(1), and O(1) for each task that waits; no
///     allocation besides the frame of the task that runs.
/// Errors: what the task throws, to the caller that ran it. Aborts when it is destroyed while tasks
///     wait, and when a task that no runtime runs would have to wait.
/// Example: examples/shared_state.cpp
class once {
public:
    /// Runs the task that `function()` gives, unless one has run to its end; its value is dropped.
    /// The function is called by the caller that runs, and no sooner.
    template <class Function>
        requires std::is_invocable_v<Function&>
    [[nodiscard]] detail::once_operation<detail::once_call<Function>> call(Function function) {
        return detail::once_operation<detail::once_call<Function>>(
            detail::once_call<Function>(core_, std::move(function)));
    }

    [[nodiscard]] bool is_done() const noexcept { return core_.is_done(); }

private:
    detail::once_core core_;
};

template <class T, class Function = task<T> (*)()>
class lazy;

namespace detail {

template <class T, class Function>
struct lazy_call {
    using body = std::invoke_result_t<Function&>;

    explicit lazy_call(lazy<T, Function>& wanted) noexcept : target(&wanted) {}

    [[nodiscard]] once_core& core() const noexcept { return target->core_; }

    [[nodiscard]] body make() const { return target->function_(); }

    void keep(T&& value) const { ::new (static_cast<void*>(&target->value_)) T(std::move(value)); }

    [[nodiscard]] T& take() const noexcept { return target->value_; }

    lazy<T, Function>* target;
};

}  // namespace detail

/// A value that is computed by the first task that asks for it; the others wait until it is there.
///
///     weft::lazy<settings> config(load_settings);
///     settings& s = co_await config.value();
///
/// A computation that fails or is stopped leaves it without a value: the error is the caller's, and
/// the next caller computes, first the one that has waited longest.
///
/// Thread safety: `value`, `peek` and `is_ready` may be called from any thread at the same time;
///     the value itself is as safe as a `T` is.
/// Cancellation: as for once: a stop ends a wait for another caller; the caller that computes is
///     stopped in what it computes.
/// Lifetime: must outlive every operation on it and every use of the value, which it owns.
/// Resumption, complexity, errors: as for once.
/// Example: examples/shared_state.cpp
template <class T, class Function>
class lazy {
    static_assert(std::is_same_v<std::invoke_result_t<Function&>, task<T>>,
                  "a lazy<T> is made of a function that gives a task<T>");

public:
    using value_operation = detail::once_operation<detail::lazy_call<T, Function>>;

    explicit lazy(Function function) : function_(std::move(function)) {}

    lazy(lazy const&) = delete;
    lazy& operator=(lazy const&) = delete;

    ~lazy() {
        if (is_ready()) {
            value_.~T();
        }
    }

    /// `co_await l.value()` gives the value, and computes it if nobody has.
    [[nodiscard]] value_operation value() {
        return value_operation(detail::lazy_call<T, Function>(*this));
    }

    /// The value if it is there, else null.
    [[nodiscard]] T* peek() noexcept { return is_ready() ? &value_ : nullptr; }

    [[nodiscard]] bool is_ready() const noexcept { return core_.is_done(); }

private:
    friend struct detail::lazy_call<T, Function>;

    detail::once_core core_;
    Function function_;

    union {
        T value_;
    };
};

template <class Function>
lazy(Function) -> lazy<typename std::invoke_result_t<Function&>::value_type, Function>;

}  // namespace weft
