#pragma once

#include <weft/runtime/wait/wait_list.hpp>

#include <cstdint>

namespace weft {

namespace detail {

struct event_wait;

/// What both kinds of event are behind their names.
///
/// Protocol. The word: clear → signalled (set), clear ⇄ contended (waiters; under lock_ only),
/// contended → signalled or clear (set, which takes waiters out under lock_).
/// I1 A contended event is not signalled.
/// I2 set() without waiters ends with the exchange of the word: whoever sees the signal may destroy
///    the event.
class event_core {
public:
    explicit event_core(bool signalled_at_first) noexcept
        : word_(signalled_at_first ? signalled : clear) {}

    event_core(event_core const&) = delete;
    event_core& operator=(event_core const&) = delete;

    ~event_core() {
        WEFT_CHECK(waiters_.empty(),
                   "an event is destroyed while tasks wait for it" WEFT_END_TASKS_FIRST);
    }

    [[nodiscard]] bool is_signalled() const noexcept {
        // acquire: observe what was written before the signal; pairs with set():publish
        return word_.load(acquire) == signalled;
    }

    /// Takes the signal if there is one.
    bool consume() noexcept {
        std::uint32_t expected = signalled;
        // acquire: claim the signal and observe what was written before it; pairs with
        // set():publish. The loser (relaxed: hint) waits, or is told.
        return word_.compare_exchange_strong(expected, clear, acquire, relaxed);
    }

    /// Signals: to every waiter, or to the first one, who then takes the signal.
    void set(bool to_all) noexcept;

    // --- under queue_lock() -----------------------------------------------------------

    /// False when the event is not signalled: then the waiter is in the queue.
    [[nodiscard]] bool pass_or_enlist(waiter& waiter, bool consumes) noexcept;

    /// A waiter has left the queue.
    void waiter_left() noexcept;

    [[nodiscard]] wait_lock& queue_lock() noexcept { return lock_; }

private:
    static constexpr std::uint32_t clear = 0;
    static constexpr std::uint32_t signalled = 1;
    static constexpr std::uint32_t contended = 2;

    // --- any thread, atomic (see Protocol) ---------------------------------------
    /// Written by everybody; read by who asks for the signal.
    atomic<std::uint32_t> word_;

    // --- any thread, under lock_ ---------------------------------------------------
    wait_lock lock_;
    waiter_list waiters_;
};

/// For wait_operation: see there.
struct event_request {
    using wait_type = event_wait;
    static constexpr bool can_be_branch = true;

    event_request(event_core& wanted, bool takes_signal) noexcept
        : target(&wanted)
        , consumes(takes_signal) {}

    void take() const noexcept {}

    event_core* target;
    bool consumes;
};

struct manual_reset_request : event_request {
    explicit manual_reset_request(event_core& wanted) noexcept : event_request(wanted, false) {}

    [[nodiscard]] bool try_now() const noexcept { return target->is_signalled(); }

    void give_back() const noexcept {}
};

struct auto_reset_request : event_request {
    explicit auto_reset_request(event_core& wanted) noexcept : event_request(wanted, true) {}

    [[nodiscard]] bool try_now() const noexcept { return target->consume(); }

    void give_back() const noexcept { target->set(false); }
};

struct event_wait : waiter {
    explicit event_wait(event_request const& request) noexcept;

    event_core* target;
    bool consumes;
};

}  // namespace detail

/// Holds tasks up until it is set; then lets everybody through until it is reset.
///
/// Thread safety: every member may be called from any thread at the same time, except the
///     destructor.
/// Cancellation: a stop ends the wait. Success wins: a task that was let through goes on, and a
///     stopped task passes an event that is set.
/// Lifetime: must outlive every operation on it. The last task that is let through may destroy it
///     even if the set() that let it through has not returned.
/// Resumption: through the waiting task's scheduler, never inside set().
/// Complexity: set() is O(1) for each task that is let through; no allocation. One atomic operation
///     where nobody waits.
/// Errors: none. Aborts when it is destroyed while tasks wait, and when a task that no runtime runs
///     would have to wait.
/// Example: examples/shared_state.cpp
class manual_reset_event {
public:
    using wait_operation = detail::wait_operation<detail::manual_reset_request>;

    explicit manual_reset_event(bool initially_set = false) noexcept : core_(initially_set) {}

    /// Lets everybody through who waits, and who comes later.
    void set() noexcept { core_.set(true); }

    /// Who comes from now on waits. Changes nothing for those who were let through.
    void reset() noexcept { (void)core_.consume(); }

    [[nodiscard]] bool is_set() const noexcept { return core_.is_signalled(); }

    /// `co_await e.wait()` goes on when the event is set.
    [[nodiscard]] wait_operation wait() noexcept {
        return wait_operation(detail::manual_reset_request(core_));
    }

private:
    detail::event_core core_;
};

/// Lets one task through for each time it is set; a set() that nobody waits for is kept for the
/// next, and kept once.
///
/// Fair: tasks are let through in the order in which they began to wait.
///
/// Thread safety: every member may be called from any thread at the same time, except the
///     destructor.
/// Cancellation: a stop ends the wait; it has taken no signal. Success wins: a task that was let
///     through goes on, and a stopped task takes a signal that is there.
/// Lifetime: must outlive every operation on it. The task that is let through may destroy it even
///     if the set() that let it through has not returned.
/// Resumption: through the waiting task's scheduler, never inside set().
/// Complexity: O(1), no allocation. One atomic operation where nobody waits.
/// Errors: none. Aborts when it is destroyed while tasks wait, and when a task that no runtime runs
///     would have to wait.
/// Example: examples/shared_state.cpp
class auto_reset_event {
public:
    using wait_operation = detail::wait_operation<detail::auto_reset_request>;

    explicit auto_reset_event(bool initially_set = false) noexcept : core_(initially_set) {}

    /// Lets the first waiting task through, or the next one that comes.
    void set() noexcept { core_.set(false); }

    /// Takes a signal that nobody has taken back.
    void reset() noexcept { (void)core_.consume(); }

    [[nodiscard]] bool is_set() const noexcept { return core_.is_signalled(); }

    /// Takes the signal if it is there; outside of tasks, too.
    [[nodiscard]] bool try_wait() noexcept { return core_.consume(); }

    /// `co_await e.wait()` goes on with the signal.
    [[nodiscard]] wait_operation wait() noexcept {
        return wait_operation(detail::auto_reset_request(core_));
    }

private:
    detail::event_core core_;
};

}  // namespace weft
