#pragma once

#include <weft/runtime/wait/wait_list.hpp>

#include <cstddef>
#include <type_traits>
#include <utility>

namespace weft {

namespace detail {

struct arrival_wait;

/// What a barrier is behind its name.
///
/// Protocol. A phase ends when everybody has arrived. The last to arrive takes the others out of
/// the queue, under lock_; runs the completion function; begins the next phase, under lock_; and
/// wakes them.
/// I1 From the last arrival to the next phase nothing is missing: nobody can arrive, or take an
///    arrival back, so the completion function runs alone.
/// I2 An arrival that is stopped while it waits is taken back: what is missing counts it again.
/// I3 To wake the others is the last access to the barrier: they may destroy it.
class barrier_core {
public:
    using completion_function = void (*)(barrier_core& self) noexcept;

    barrier_core(std::size_t participants, completion_function at_end);

    barrier_core(barrier_core const&) = delete;
    barrier_core& operator=(barrier_core const&) = delete;

    /// True when the caller was the last to arrive, and has ended the phase; false: not arrived.
    [[nodiscard]] bool arrive_if_last() noexcept;

    /// Arrives, and takes part no more.
    void arrive_and_leave() noexcept;

    /// The last to arrive, once arrive_or_enlist() said so, without queue_lock(): ends the phase.
    void end_phase() noexcept;

    // --- under queue_lock() -----------------------------------------------------------

    /// Arrives. True when that was the last arrival; else the waiter is in the queue.
    [[nodiscard]] bool arrive_or_enlist(waiter& waiter) noexcept;

    /// A waiter has left the queue.
    void waiter_left() noexcept { ++missing_; }

    [[nodiscard]] wait_lock& queue_lock() noexcept { return lock_; }

protected:
    ~barrier_core() {
        WEFT_CHECK(waiters_.empty(),
                   "a barrier is destroyed while tasks wait for it" WEFT_END_TASKS_FIRST);
    }

private:
    void collect() noexcept;

    // --- constant after construction -------------------------------------------
    completion_function complete_;

    // --- any thread, under lock_ ---------------------------------------------------
    wait_lock lock_;
    std::size_t participants_;
    std::size_t missing_;
    waiter_list waiters_;
    waiter_list released_;  // between the last arrival and the next phase
};

/// For wait_operation: see there.
struct arrival_request {
    using wait_type = arrival_wait;
    static constexpr bool can_be_branch = false;  // an arrival counts for the others at once

    explicit arrival_request(barrier_core& wanted) noexcept : target(&wanted) {}

    [[nodiscard]] bool try_now() const noexcept { return target->arrive_if_last(); }

    void take() const noexcept {}

    void give_back() const noexcept {}

    barrier_core* target;
};

struct arrival_wait : waiter {
    explicit arrival_wait(arrival_request const& request) noexcept;

    [[nodiscard]] bool begin(promise_base& promise) noexcept;

    barrier_core* target;
    bool is_last = false;
};

struct no_completion {
    void operator()() const noexcept {}
};

}  // namespace detail

/// Lets a fixed number of tasks proceed in phases: each waits at the barrier until all have
/// arrived. Whoever arrives last runs the completion function before the others go on.
///
/// Thread safety: every member may be called from any thread at the same time, except the
///     destructor. The completion function runs while all participants wait, on the last one's
///     thread.
/// Cancellation: a stop ends the wait and takes the arrival back: the phase does not end without
///     it, and the task may arrive again. Success wins: once the last one has arrived, everybody
///     goes on.
/// Lifetime: must outlive every operation on it. Any task may destroy it after the last phase, even
///     if others that arrived have yet to run.
/// Resumption: through the waiting task's scheduler, never inside the last arrival; the last one
///     goes on without waiting.
/// Complexity: O(1) under a lock; the last arrival O(1) for each task that waits. No allocation.
/// Errors: std::invalid_argument when it is made for nobody. The completion function must not
///     throw. Aborts when more tasks arrive than take part, when it is destroyed while tasks wait,
///     and when a task that no runtime runs would have to wait.
/// Example: examples/shared_state.cpp
template <class Completion = detail::no_completion>
class barrier : private detail::barrier_core {
    static_assert(std::is_nothrow_invocable_v<Completion&>,
                  "a barrier's completion function is called without arguments and is noexcept");

public:
    using arrive_operation = detail::wait_operation<detail::arrival_request>;

    explicit barrier(std::size_t participants, Completion end_hook = Completion())
        : barrier_core(participants, &complete)
        , completion_(std::move(end_hook)) {}

    /// `co_await b.arrive_and_wait()` goes on when all participants have arrived.
    [[nodiscard]] arrive_operation arrive_and_wait() noexcept {
        return arrive_operation(detail::arrival_request(*this));
    }

    /// Arrives without waiting, and leaves: the following phases end without this participant.
    /// Outside of tasks, too.
    void arrive_and_drop() noexcept { arrive_and_leave(); }

private:
    static void complete(detail::barrier_core& base) noexcept {
        static_cast<barrier&>(base).completion_();
    }

    [[no_unique_address]] Completion completion_;
};

}  // namespace weft
