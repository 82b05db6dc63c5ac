#pragma once

/// The part of every channel that does not depend on its values: who waits, and closing.
///
/// Protocol. A channel has one lock, a buffer and two FIFO lists of waiters. An *operation* tries
/// under the lock; what cannot complete at once is enlisted and suspended. Whoever completes a
/// waiter (the counterpart, close(), a stop) does it under the lock in this order:
///   claim → hand the value over → commit, which unlinks → after unlocking: wake
/// A waiter that is one branch of a select has a select_site: claiming it decides which branch
/// takes effect. A claim that fails means that another branch has; the node is unlinked unseen.
///
///   plain waiter:  idle ─ enlist ─► waiting ─ commit ─► done | closed | failed
///                    │                  └─ stop callback ─► stopped
///                    └─ stop callback before it is enlisted ─► stop_arrived_, found at enlisting
///
/// I1 Buffered values imply that no receiver waits; free space implies that no sender does. (Nodes
///    of decided selects aside.)
/// I2 Values are handed over under the lock, from the sender's object or the buffer into the
///    buffer or the receiver's slot. A move that throws leaves the waiter waiting (roll_back); a
///    waiter that was committed has its value and is resumed: no value gets lost between.
/// I3 wake() is the last access to a waiter. Until then only the one who unlinked it can resume
///    it, so its frame is alive. Nothing is resumed under the lock, and never inline.
/// I4 The stop callback takes the channel's lock, and no stop state's lock is held then; a waiter
///    registers with its stop state before it is enlisted and without the channel's lock, since
///    registering may run other callbacks.
/// I5 The unlock is the last access to the channel by a completed operation.

#include <weft/runtime/base/intrusive_list.hpp>
#include <weft/runtime/coro/promise.hpp>
#include <weft/runtime/coro/ready_budget.hpp>
#include <weft/runtime/sched/pass_stop.hpp>
#include <weft/runtime/values/error.hpp>
#include <weft/runtime/values/result.hpp>
#include <weft/runtime/wait/brief_lock.hpp>

#include <cstddef>
#include <cstdint>
#include <exception>

namespace weft::detail {

class channel_core;
class channel_waiter;
class select_site;
class thread_event;

/// What became of a waiter.
enum class hand_over : std::uint8_t { pending, done, closed, full, failed, stopped };

/// Waiters that were committed under a lock, to be woken after it.
class wake_chain {
public:
    void add(channel_waiter& waiter) noexcept;

    /// Without any lock. Wakes in the order of add().
    WEFT_ALWAYS_INLINE void wake_all() noexcept {
        if (first_ != nullptr) {
            wake_each();
        }
    }

private:
    void wake_each() noexcept;

    channel_waiter* first_ = nullptr;
    channel_waiter* last_ = nullptr;
};

/// A place in a channel's list.
class channel_waiter : public intrusive_list_hook<channel_waiter> {
public:
    /// Under the lock: completes the operation if that is possible now.
    using attempt_function = bool (*)(channel_waiter&, wake_chain&) noexcept;

    channel_waiter(channel_waiter const&) = delete;
    channel_waiter& operator=(channel_waiter const&) = delete;

    // --- under the lock of core() ------------------------------------------------

    /// False when the waiter is a branch of a select that is decided.
    [[nodiscard]] bool claim() noexcept { return site_ == nullptr || claim_site(); }

    /// After claim(): the hand-over did not come about.
    void roll_back() noexcept;

    /// After claim(): takes the waiter out of its list. The caller wakes it after unlocking.
    void commit(hand_over outcome, wake_chain& woken) noexcept;

    [[nodiscard]] bool attempt(wake_chain& woken) noexcept { return attempt_(*this, woken); }

    void enlist() noexcept;

    /// Makes the waiter a branch of a select.
    void join_site(select_site& site, std::uint32_t branch) noexcept {
        site_ = &site;
        branch_ = branch;
    }

    // --- any thread ----------------------------------------------------------------

    [[nodiscard]] channel_core& core() const noexcept { return *core_; }

    /// After the hand-over.
    [[nodiscard]] hand_over outcome() const noexcept { return outcome_; }

protected:
    channel_waiter(channel_core& owner,
                   intrusive_list<channel_waiter>& list,
                   attempt_function try_now) noexcept
        : core_(&owner)
        , list_(&list)
        , attempt_(try_now) {}

    ~channel_waiter() = default;

    // --- constant after construction, or before it is enlisted --------------------------
    channel_core* core_;
    intrusive_list<channel_waiter>* list_;
    attempt_function attempt_;
    promise_base* promise_ = nullptr;  // a coroutine waits …
    thread_event* thread_ = nullptr;   // … or a thread …
    select_site* site_ = nullptr;      // … or a select
    std::uint32_t branch_ = 0;

    // --- under the lock of core() --------------------------------------------------
    hand_over outcome_ = hand_over::pending;
    bool stop_arrived_ = false;

    // --- constant after construction -------------------------------------------
    when_stopped when_stopped_ = when_stopped::unwind;

private:
    friend class wake_chain;

    [[nodiscard]] bool claim_site() noexcept;
    void wake() noexcept;

    channel_waiter* next_woken_ = nullptr;  // whoever committed it
};

/// The members that every operation touches share one cache line with the buffer's indices.
class alignas(cache_line) channel_core {
public:
    channel_core() noexcept = default;
    channel_core(channel_core const&) = delete;
    channel_core& operator=(channel_core const&) = delete;

    /// Any thread. Wakes every waiter with `closed`. False when it was closed before.
    bool close() noexcept;

    /// Any thread.
    [[nodiscard]] bool is_closed() const noexcept {
        brief_guard const guard(lock_);
        return closed_;
    }

    /// The next waiter that can be completed, claimed; null when there is none. Under the lock.
    [[nodiscard]] static channel_waiter* claim_front(
        intrusive_list<channel_waiter>& list) noexcept {
        channel_waiter* const first = list.front();
        if (first == nullptr || first->claim()) [[likely]] {
            return first;
        }
        return claim_behind(list);
    }

    mutable brief_lock lock_;

    // --- any thread, under lock_ ----------------------------------------------------
    bool closed_ = false;
    intrusive_list<channel_waiter> senders_;
    intrusive_list<channel_waiter> receivers_;

protected:
    ~channel_core() = default;

    /// In the destructor of a channel; `kind` names it in the message.
    void require_nobody_waits(char const* kind) const noexcept {
        if (!senders_.empty() || !receivers_.empty()) [[unlikely]] {
            die_in_use(kind, "waits in it");
        }
    }

    /// The last one who could have waited in `list` goes.
    void require_nobody_waits(char const* kind,
                              intrusive_list<channel_waiter> const& list) const noexcept {
        brief_guard const guard(lock_);
        if (!list.empty()) [[unlikely]] {
            die_in_use(kind, "waits in it");
        }
    }

    [[noreturn]] WEFT_COLD static void die_in_use(char const* kind, char const* use) noexcept;

private:
    WEFT_COLD static channel_waiter* claim_behind(intrusive_list<channel_waiter>& list) noexcept;
    static void close_list(intrusive_list<channel_waiter>& list, wake_chain& woken) noexcept;
};

/// A waiter that a coroutine or a thread waits in by itself.
class channel_wait : public channel_waiter, private stop_node {
public:
    /// The coroutine is suspending, and could not complete the operation at once. False when it is
    /// to go on now.
    [[nodiscard]] bool begin(promise_base& waiter) noexcept;

    /// A foreign thread waits; nothing stops it.
    void block() noexcept;

    /// The coroutine is running again: no stop callback refers to this any more. Gives the outcome,
    /// or throws what the value's move or copy has thrown.
    hand_over finish();

    /// Before begin(): the coroutine asked for a result<T>, and is to be told of a stop.
    void tell_when_stopped() noexcept { when_stopped_ = when_stopped::tell; }

    /// The owner, before begin(): the value's move or copy has thrown.
    void fail(std::exception_ptr thrown) noexcept;

    /// What it has thrown.
    std::exception_ptr error;

protected:
    channel_wait(channel_core& owner,
                 intrusive_list<channel_waiter>& list,
                 attempt_function try_now) noexcept
        : channel_waiter(owner, list, try_now)
        , stop_node(&on_stop) {}

    ~channel_wait() { forget_stop(); }

    /// Notes the outcome of `step()`. False when that is to wait.
    template <class Step>
    bool take_step(Step step) noexcept {
        try {
            outcome_ = step();
        } catch (...) {
            fail(std::current_exception());
        }
        return outcome_ != hand_over::pending;
    }

private:
    void forget_stop() noexcept {
        if (promise_ != nullptr) {
            withdraw();
        }
    }

    static void on_stop(stop_node& node) noexcept;
    [[nodiscard]] bool end_stopped(promise_base& waiter) noexcept;
};

/// What a send says of its outcome: success, errc::closed, or std::errc::operation_canceled or
/// resource_unavailable_try_again.
[[nodiscard]] result<void> send_result(hand_over outcome) noexcept;

/// What try_recv says when it has no value: errc::closed, or resource_unavailable_try_again.
[[nodiscard]] failure recv_failure(hand_over outcome) noexcept;

[[noreturn]] WEFT_COLD void throw_send_error(hand_over outcome);

/// Aborts when the calling thread is a worker, which must not block.
void require_foreign_thread() noexcept;

}  // namespace weft::detail
