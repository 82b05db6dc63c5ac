#pragma once

/// How coroutines wait for something that others give, and how they are woken and stopped: locks,
/// permits, slots, whatever a queue hands out.
///
/// A primitive has a lock (held for a few instructions), one or more `waiter_list`s
/// and, mostly, a state word that its fast paths try without the lock. An operation in a
/// coroutine's frame has a `waiter`, which stands in at most one list. What is particular to a
/// primitive are its `wait_rules`.
///
/// Protocol. Actors: the waiting coroutine, a waker (whoever unlocks, sets, releases; any thread),
/// the stop callback (any thread). Stages of a waiter, written under the primitive's lock:
///
///     idle ── begin(): admit() says no ──► listed ── grant(), by a waker ──► granted ──► delivered
///      │ └─── begin(): admit() says yes ──► granted, the coroutine goes on at once
///      │                                    └── stop callback: leave() ──► stopped ──► delivered
///      └───── stop callback, or a stop requested before ────────────────► stopped ──► delivered
///
///   begin:     enroll with the stop state → lock → stopped meanwhile? end : admit → unlock
///   waker:     lock → take waiters out of the lists by grant() → unlock → wake_all()
///   wake_all:  withdraw every waiter from its stop state, then schedule each
///   callback:  lock → listed? take it out, leave() : nothing → unlock → schedule it
///
/// A waiter that is a branch of a select (wait_arbiter) has no stop of its own. Who grants it
/// decides the select; when another branch has, it is taken out of its list unseen, and what it was
/// to have is the next one's.
///
/// I1 A waiter is enrolled before it is listed, and the callback decides under the lock: a stop
///    that arrives in between finds the stage `idle`, and begin() then does not list it. No stop is
///    lost.
/// I2 Whoever takes a waiter out of `listed` decides its end: granted by a waker (success wins, a
///    later stop does nothing), stopped by the callback.
/// I3 To be listed, and unlocked, is begin()'s last access to the operation and to the primitive.
/// I4 To schedule a waiter is the last access to it, and wake_all() comes after every access to the
///    primitive: the callbacks of all woken waiters are over by then (withdraw waits for them, and
///    they wait for the primitive's lock only, which is not held). So whoever is woken may destroy
///    the primitive, though the waker has not returned and others that were woken with it have yet
///    to run.
/// I5 Nobody is resumed inside a waker: a coroutine goes on through its scheduler's queue.
/// I6 A primitive's lock is held together with no other lock, but for a select, which takes those
///    of all its branches in the order of their addresses.
/// I7 A waiter that is delivered refers to no stop state: as a branch of a select it outlives the
///    one it followed.
///
/// Rejected: waiters that withdraw when they are resumed. Then a stop callback may touch the lock
/// of an event that another waiter, woken earlier, has destroyed.

#include <weft/runtime/base/intrusive_list.hpp>
#include <weft/runtime/coro/promise.hpp>
#include <weft/runtime/coro/ready_budget.hpp>
#include <weft/runtime/sched/pass_stop.hpp>
#include <weft/runtime/values/result.hpp>
#include <weft/runtime/wait/brief_lock.hpp>

#include <concepts>
#include <coroutine>
#include <cstdint>
#include <new>
#include <system_error>
#include <type_traits>
#include <utility>

namespace weft::detail {

class waiter;

/// What a waiter belongs to that is one of several branches, instead of a coroutine of its own
/// (sync/wait/select_site.hpp). A reference: the arbiter itself pays nothing for being one.
struct wait_arbiter {
    struct functions {
        /// Under the lock through which the waiter was found: decides for a branch whose effect is
        /// there already. False when another has been decided for, or the branch is to look again.
        bool (*decide_in_list)(void* self, std::uint32_t branch) noexcept;

        /// With no lock held: the one who decided leaves.
        void (*wake)(void* self) noexcept;
    };

    [[nodiscard]] bool decide_in_list(std::uint32_t branch) const noexcept {
        return how->decide_in_list(self, branch);
    }

    void wake() const noexcept { how->wake(self); }

    void* self = nullptr;  // null: none
    functions const* how;
};

/// The lock of a primitive.
using wait_lock = brief_lock;
using wait_guard = brief_guard;

/// FIFO of waiters; under the lock of its primitive.
using waiter_list = intrusive_list<waiter>;

/// What is particular to an operation. The first two are called under the primitive's lock.
struct wait_rules {
    using admit_function = bool (*)(waiter& self) noexcept;
    using leave_function = void (*)(waiter& self, waiter_list& woken) noexcept;
    using deliver_function = void (*)(waiter& self) noexcept;

    constexpr wait_rules(char const* name,
                         admit_function on_begin,
                         leave_function on_stop = nullptr,
                         deliver_function at_end = nullptr) noexcept
        : operation(name)
        , admit(on_begin)
        , leave(on_stop)
        , deliver(at_end) {}

    /// Names the operation in messages.
    char const* operation;
    /// True when the operation takes effect at once; else puts the waiter into a list.
    admit_function admit;
    /// A stop has taken the waiter out of its list; grants what others can have now.
    leave_function leave;
    /// With no lock held: what happens to a granted or stopped waiter, instead of schedule().
    deliver_function deliver;
};

class waiter : public intrusive_list_hook<waiter>, private stop_node {
public:
    waiter(waiter const&) = delete;
    waiter& operator=(waiter const&) = delete;

    /// The coroutine, suspended. True when it waits, or is to be unwound: it is somebody else's
    /// then, and the waiter may be gone. False when it goes on at once.
    [[nodiscard]] bool begin(promise_base& promise) noexcept;

    /// Before begin(): the coroutine asked for a result<T>, and is to be told of a stop.
    void tell_when_stopped() noexcept { when_stopped_ = when_stopped::tell; }

    /// After delivery: the wait ended by the stop and the operation has had no effect.
    [[nodiscard]] bool was_stopped() const noexcept { return stopped_; }

    /// After delivery: the operation has taken effect.
    [[nodiscard]] bool was_granted() const noexcept { return stage_ == stage::granted; }

    /// Under the lock: takes the waiter out of its list with success. wake_all(woken) follows when
    /// the lock is released. False when it is a branch of a select that is decided: then it is out
    /// of its list, and has got nothing.
    [[nodiscard]] bool grant(waiter_list& woken) noexcept {
        unlink();
        if (arbiter_.self != nullptr && !arbiter_.decide_in_list(branch_)) {
            return false;
        }
        stage_ = stage::granted;
        woken.push_back(*this);
        return true;
    }

    /// For deliver(): makes the coroutine ready. The last access to the waiter.
    void schedule() noexcept;

    /// For deliver(), under the lock of another primitive: before the waiter is put into a list of
    /// that one. It cannot be stopped any more; the rules' deliver() is asked again when it is
    /// granted.
    void transfer(wait_rules const& rules) noexcept;

    /// What deliver() of the rules does, or schedule(). The last access to the waiter.
    void deliver() noexcept;

    [[nodiscard]] promise_base& promise() const noexcept { return *promise_; }

    // --- a branch of a select, instead of begin() -------------------------------------

    void join_site(wait_arbiter arbiter, std::uint32_t branch) noexcept {
        arbiter_ = arbiter;
        branch_ = branch;
    }

    [[nodiscard]] wait_lock& lock() const noexcept { return *lock_; }

    /// Under the lock. True when the operation takes effect at once; else it is in a list.
    [[nodiscard]] bool take_or_enlist() noexcept {
        bool const taken = rules_->admit(*this);
        stage_ = taken ? stage::granted : stage::listed;
        return taken;
    }

    /// Under the lock: takes the waiter out of its list if it is there, and grants what others can
    /// have now.
    void leave(waiter_list& woken) noexcept;

protected:
    /// Whether the coroutine is to be told of a stop.
    [[nodiscard]] when_stopped policy() const noexcept { return when_stopped_; }

    /// After delivery: begin() may follow again.
    void rearm(wait_rules const& rules) noexcept;

    waiter(wait_lock& lock, wait_rules const& rules) noexcept
        : stop_node(&on_stop)
        , lock_(&lock)
        , rules_(&rules) {}

    ~waiter() { withdraw(); }

private:
    friend void wake_all(waiter_list& woken) noexcept;

    enum class stage : std::uint8_t { idle, listed, granted, stopped };

    [[nodiscard]] bool end_stopped() noexcept;
    static void on_stop(stop_node& node) noexcept;

    // --- owner, before begin() -----------------------------------------------------
    wait_lock* lock_;
    wait_rules const* rules_;
    promise_base* promise_ = nullptr;  // a coroutine waits …
    wait_arbiter arbiter_;             // … or a select
    std::uint32_t branch_ = 0;
    when_stopped when_stopped_ = when_stopped::unwind;

    // --- any thread, under the primitive's lock (I2) ------------------------------
    stage stage_ = stage::idle;
    bool stopped_ = false;
};

/// With no lock held: makes the granted waiters ready, in order. Touches nothing but them, and none
/// of them after it is ready (I4).
void wake_all(waiter_list& woken) noexcept;

/// What co_await of a primitive's operation waits in.
///
/// `Request` says what is wanted and is cheap to copy:
///     using wait_type = …;              derived from waiter, made from the request
///     bool try_now() noexcept;          the fast path: true when it has taken effect
///     T take() noexcept;                what the await yields, once it has
///     void give_back() noexcept;        undoes it, for an operation whose effect nobody took
///     static constexpr bool can_be_branch = …;   by itself: it has no effect before it is granted
/// The waiter is made when the fast path has failed.
template <class Request, bool ResultForm = false>
class [[nodiscard]] wait_operation {
    using wait_type = typename Request::wait_type;
    using value_type = decltype(std::declval<Request&>().take());

public:
    explicit wait_operation(Request const& request) noexcept : request_(request) {}

    wait_operation(wait_operation const&) = delete;
    wait_operation& operator=(wait_operation const&) = delete;

    ~wait_operation() {
        if (begun_) {
            end();
        }
    }

    [[nodiscard]] bool await_ready() noexcept { return spend_budget() && request_.try_now(); }

    template <std::derived_from<promise_base> Promise>
    [[nodiscard]] bool await_suspend(std::coroutine_handle<Promise> coroutine) noexcept {
        WEFT_ASSERT(!begun_, "an operation is awaited twice");
        promise_base& promise = coroutine.promise();
        // Before it takes effect: keeps S3 of promise.hpp.
        if (budget_is_spent() && !promise.stop().stop_requested() && request_.try_now())
            [[unlikely]] {
            return give_way(promise);
        }
        begun_ = true;
        wait_type& wait = *::new (static_cast<void*>(&wait_)) wait_type(request_);
        if constexpr (ResultForm) {
            wait.tell_when_stopped();
        }
        return wait.begin(promise);
    }

    std::conditional_t<ResultForm, result<value_type>, value_type> await_resume() noexcept {
        if constexpr (ResultForm) {
            if (begun_ && wait_.was_stopped()) {
                return failure(std::errc::operation_canceled);
            }
            taken_ = true;
            if constexpr (std::is_void_v<value_type>) {
                request_.take();
                return {};
            } else {
                return request_.take();
            }
        } else {
            taken_ = true;
            return request_.take();
        }
    }

    [[nodiscard]] wait_operation<Request, true> as_result() && noexcept
        requires(!ResultForm)
    {
        return wait_operation<Request, true>(request_);
    }

    // --- a branch of a select, instead of await_suspend() --------------------------------

    [[nodiscard]] bool try_now() noexcept { return request_.try_now(); }

    [[nodiscard]] waiter& join_site(wait_arbiter site, std::uint32_t branch) noexcept {
        WEFT_ASSERT(!begun_, "an operation is awaited twice");
        begun_ = true;
        wait_type& wait = *::new (static_cast<void*>(&wait_)) wait_type(request_);
        wait.join_site(site, branch);
        return wait;
    }

    // --- one that lends (select_branch.hpp, lending_branch): before and after the await --------

    template <class Site>
    [[nodiscard]] void const* lend_to(Site& site) noexcept
        requires requires(Request& request) { request.select = &site; }
    {
        request_.select = &site;
        return request_.mutex;
    }

    [[nodiscard]] wait_type* lender() noexcept { return begun_ ? &wait_ : nullptr; }

private:
    void end() noexcept {
        bool const unclaimed = wait_.was_granted() && !taken_;
        wait_.~wait_type();
        if (unclaimed) {
            request_.give_back();
        }
    }

    Request request_;
    bool begun_ = false;
    bool taken_ = false;

    union {
        wait_type wait_;
    };
};

/// A request whose await yields a guard of what was got.
template <class Request, class Guard>
struct guarded_request : Request {
    using Request::Request;

    [[nodiscard]] Guard take() const noexcept { return Guard(*this->target); }
};

}  // namespace weft::detail
