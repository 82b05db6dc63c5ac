#pragma once

#include <weft/sync/locks/mutex.hpp>
#include <weft/sync/wait/queued_call.hpp>

#include <concepts>
#include <coroutine>
#include <exception>
#include <system_error>
#include <type_traits>
#include <utility>

namespace weft {

namespace detail {

class select_site;

struct condition_wait;

/// What a condition variable is behind its name.
///
/// Protocol. A waiter is put into the condition's queue, and then gives the mutex up. Whoever takes
/// it out of the queue, a notifier or a stop, makes it want the mutex again:
///   queue of the condition → mutex free? it has it : queue of the mutex → it has the mutex → ready
/// I1 The waiter gives the mutex up when it can be notified already; nothing is lost between.
/// I2 However a wait ends, the task has the mutex when it goes on, and when it unwinds. So the way
///    through the mutex's queue cannot be stopped.
/// I3 The task cannot go on while it gives the mutex up: for that it needs the mutex.
/// I4 A branch of a select ends without the mutex, and the select takes it back when all branches
///    have ended: a loser may need it to unwind. Only a predicate is asked with the mutex, and it
///    keeps it if it holds and its branch wins: it might not hold any more otherwise.
class condition_core {
public:
    condition_core() noexcept = default;
    condition_core(condition_core const&) = delete;
    condition_core& operator=(condition_core const&) = delete;

    ~condition_core() {
        WEFT_CHECK(
            waiters_.empty(),
            "a condition_variable is destroyed while tasks wait for it" WEFT_END_TASKS_FIRST);
    }

    void notify_one() noexcept;
    void notify_all() noexcept;

    // --- under queue_lock() -----------------------------------------------------------

    void enlist(waiter& waiter) noexcept { waiters_.push_back(waiter); }

    [[nodiscard]] wait_lock& queue_lock() noexcept { return lock_; }

private:
    // --- any thread, under lock_ ---------------------------------------------------
    wait_lock lock_;
    waiter_list waiters_;
};

/// For wait_operation: see there.
struct condition_request {
    using wait_type = condition_wait;
    static constexpr bool can_be_branch = false;  // it has given the mutex up, and wants it back

    condition_request(condition_core& wanted, mutex_guard& guard) noexcept
        : target(&wanted)
        , mutex(guard.held()) {
        WEFT_CHECK(mutex != nullptr, "a condition_variable is waited for without its mutex");
    }

    [[nodiscard]] bool try_now() const noexcept { return false; }

    void take() const noexcept {}

    void give_back() const noexcept {}

    condition_core* target;
    mutex_core* mutex;
    select_site* select = nullptr;  // whose branch it is
};

struct condition_wait : waiter {
    explicit condition_wait(condition_request const& request) noexcept;

    [[nodiscard]] bool begin(promise_base& promise) noexcept;

    // --- a branch of a select (I4) ----------------------------------------------------

    /// Another branch has won: gives back what this one has. `notified`: it has not been stopped,
    /// and the notification that woke it goes to the next.
    void lose(bool notified) noexcept;

    /// When all branches have ended. True when the task has the mutex; else took_back() of the
    /// select follows when it has.
    [[nodiscard]] bool take_back() noexcept;

    condition_core* target;
    mutex_core* mutex;
    select_site* select;
    bool has_mutex = true;        // in the task's stead
    bool notified_alone = false;  // under the condition's lock, until the wait is over

protected:
    /// `on_lock`: what happens when the waiter has the mutex again, instead of schedule().
    condition_wait(condition_request const& request, wait_rules const& on_lock) noexcept;

    static wait_rules const rules;

private:
    static void relock(waiter& self) noexcept;

    wait_rules const* on_lock_;
};

/// Waits until a predicate holds. The predicate is asked with the mutex held: first by the task,
/// then, after each notification, on a worker in the task's stead.
class predicate_wait : public condition_wait, private queued_call {
public:
    using ask_function = bool (*)(predicate_wait& self);

    predicate_wait(condition_request const& request, ask_function ask) noexcept;

    /// After delivery: throws what the predicate threw.
    void rethrow() const {
        if (error_ != nullptr) {
            std::rethrow_exception(error_);
        }
    }

private:
    static void locked(waiter& self) noexcept;
    static std::coroutine_handle<> look(queued_call& self) noexcept;

    static wait_rules const on_lock;
    ask_function ask_;
    std::exception_ptr error_;
};

}  // namespace detail

/// What `co_await c.wait(guard, predicate)` waits in.
template <class Predicate, bool ResultForm = false>
class [[nodiscard]] predicate_operation : private detail::predicate_wait {
    static_assert(std::is_invocable_r_v<bool, Predicate&>,
                  "the predicate of a wait is called without arguments and gives a bool");

public:
    predicate_operation(detail::condition_request const& request, Predicate predicate)
        : predicate_wait(request, &ask)
        , request_(request)
        , predicate_(std::move(predicate)) {
        if constexpr (ResultForm) {
            tell_when_stopped();
        }
    }

    [[nodiscard]] bool await_ready() {
        holds_ = static_cast<bool>(predicate_());
        return holds_ && detail::spend_budget();
    }

    template <std::derived_from<detail::promise_base> Promise>
    [[nodiscard]] bool await_suspend(std::coroutine_handle<Promise> coroutine) noexcept {
        detail::promise_base& promise = coroutine.promise();
        bool const goes_on = holds_ && !promise.stop().stop_requested();
        return goes_on ? detail::give_way(promise) : begin(promise);
    }

    std::conditional_t<ResultForm, result<void>, void> await_resume() {
        rethrow();
        if constexpr (ResultForm) {
            if (was_stopped()) {
                return failure(std::errc::operation_canceled);
            }
            return {};
        }
    }

    [[nodiscard]] predicate_operation<Predicate, true> as_result() && noexcept(
        std::is_nothrow_move_constructible_v<Predicate>)
        requires(!ResultForm)
    {
        return predicate_operation<Predicate, true>(request_, std::move(predicate_));
    }

    // --- a branch of a select: see detail::lending_branch -----------------------------------

    [[nodiscard]] void const* lend_to(detail::select_site& site) noexcept {
        select = &site;
        return mutex;
    }

    [[nodiscard]] detail::condition_wait* lender() noexcept { return this; }

private:
    static bool ask(detail::predicate_wait& base) {
        return static_cast<bool>(static_cast<predicate_operation&>(base).predicate_());
    }

    detail::condition_request request_;
    Predicate predicate_;
    bool holds_ = false;
};

/// Lets tasks wait, with a mutex given up meanwhile, until somebody says that what the mutex
/// protects has changed.
///
///     auto guard = co_await mutex.scoped_lock();
///     co_await changed.wait(guard, [&] { return !queue.empty(); });
///
/// Fair: notify_one() takes the task that has waited longest. No wake-up comes from nowhere, but
/// one that a losing branch of a select has taken goes to the next who waits by then, and others
/// may get the mutex first, so that the form without a predicate belongs into a loop.
///
/// Thread safety: every member may be called from any thread at the same time, except the
///     destructor. Notifying needs no mutex.
/// Cancellation: a stop ends the wait; the task unwinds, or goes on with `as_result`, when it has
///     the mutex again, which it waits for without being stopped. Success wins: a task that was
///     notified goes on.
/// Lifetime: must outlive every operation on it, as must the guard and its mutex. The last task
///     that is notified may destroy it even if the notifying call has not returned.
/// Resumption: through the waiting task's scheduler, never inside a notifying call, with the mutex
///     held. The predicate may be called on any worker, by one thread at a time, with the mutex
///     held, while the task is suspended.
/// Complexity: O(1), and O(1) for each task that is notified; no allocation.
/// Errors: what the predicate throws, with the mutex held. Aborts when the guard holds nothing,
///     when it is destroyed while tasks wait, and when a task that no runtime runs would have to
///     wait.
/// Example: examples/shared_state.cpp
class condition_variable {
public:
    using wait_operation = detail::wait_operation<detail::condition_request>;

    /// `co_await c.wait(guard)` gives the mutex up until notified.
    [[nodiscard]] wait_operation wait(mutex_guard& guard) noexcept {
        return wait_operation(detail::condition_request(core_, guard));
    }

    /// `co_await c.wait(guard, predicate)` gives the mutex up until `predicate()` is true.
    template <class Predicate>
    [[nodiscard]] predicate_operation<Predicate> wait(mutex_guard& guard, Predicate predicate) {
        return predicate_operation<Predicate>(detail::condition_request(core_, guard),
                                              std::move(predicate));
    }

    /// Wakes the task that has waited longest, if any.
    void notify_one() noexcept { core_.notify_one(); }

    /// Wakes every task that waits.
    void notify_all() noexcept { core_.notify_all(); }

private:
    detail::condition_core core_;
};

}  // namespace weft
