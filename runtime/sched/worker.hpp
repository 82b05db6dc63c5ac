#pragma once

/// One worker: a thread, its queues, its timers and the driver in which it waits.
///
/// The loop takes what runs next from, in this order: the ready ring (woken and yielded coroutines,
/// FIFO), the fork deque (children of joins, LIFO), the global queue, other workers, and then parks
/// in the driver. Every `poll_interval` runs it looks at the driver, the timers and the global
/// queue even though it is busy, and takes the oldest fork first, so that nobody starves.
///
/// Protocol of parking. Actors: the worker, and anybody who calls wake().
///   parker_: running → parked (worker, before it blocks); any → notified (wake);
///            any → running (worker, after)
///   A wake that finds `parked` owes the driver one wake(); one that finds `running` or `notified`
///   owes nothing, because the worker looks at the word before it blocks.
/// I1 `notified` is always written, even over itself, so that the worker synchronises with the
///    latest waker.
/// I2 Work is published (queue, remote post) before wake(); after the worker has consumed a
///    notification it looks at every source again.
/// A single ready coroutine, when its worker is about to run it anyway, is not worth a thief: the
/// steal costs more than the run. A thief takes it only when it has stood there for a moment, that
/// is, behind a long run; and a thief that sees such coroutines come and go naps, watching
/// (idle_set), rather than search on or be woken for each.
///
/// I3 What does not fit into the ready ring waits in `overflow_` and enters it in order, so that
///    ready coroutines run first come, first served, however many there are. Thieves see the ring.

#include <weft/runtime/base/function_ref.hpp>
#include <weft/runtime/core/ready_queue.hpp>
#include <weft/runtime/core/remote_queue.hpp>
#include <weft/runtime/core/remote_request.hpp>
#include <weft/runtime/core/runnable.hpp>
#include <weft/runtime/core/timer_wheel.hpp>
#include <weft/runtime/core/work_deque.hpp>
#include <weft/runtime/coro/promise.hpp>
#include <weft/runtime/sched/driver.hpp>

#include <cstdint>

namespace weft::detail {

class scheduler;
class worker;

/// A timer in a worker's wheel. `fire` is called on the worker's thread after the node has left the
/// wheel.
struct worker_timer : timer_node {
    using fire_function = void (*)(worker_timer&) noexcept;

    explicit worker_timer(fire_function f) noexcept : fire(f) {}

    fire_function fire;
};

class worker {
public:
    static constexpr unsigned poll_interval = 64;
    static constexpr std::uint32_t fork_budget = 1024;
    static constexpr nanoseconds_u64 fork_period = 200'000;
    static constexpr std::int64_t fork_reserve = 4;

    /// Throws std::bad_alloc.
    worker(scheduler& owner, unsigned index, driver& waits_in);

    worker(worker const&) = delete;
    worker& operator=(worker const&) = delete;

    // --- worker's own thread ------------------------------------------------------

    /// Runs until the scheduler stops.
    void loop() noexcept;

    /// Makes a coroutine ready behind the others, and wakes a sleeper if there is one to share the
    /// work.
    void push_ready(promise_base& promise) noexcept;

    /// The same for the coroutine that is giving way: this worker takes it soon, so nobody is woken
    /// for it alone, and where one stands before it, that one runs now, and it counts as a single
    /// one. So two tasks that feed each other stay together, and their data in one cache.
    void push_yielded(promise_base& promise) noexcept;

    /// Offers a child of a join to thieves. This worker takes the youngest first (next_local(),
    /// claim_fork()).
    /// Where there is no memory for a longer deque, the child becomes ready instead.
    void push_fork(promise_base& promise) noexcept {
        try {
            forks_.push(&promise);
        } catch (...) {
            push_ready(promise);
        }
    }

    /// Whether there are thieves who would want more forks than there are.
    [[nodiscard]] WEFT_ALWAYS_INLINE bool wants_forks() const noexcept {
        return shares_ && forks_.holds_less_than(fork_reserve);
    }

    /// After push_fork(): wakes a sleeper if there is one to share the work.
    WEFT_ALWAYS_INLINE void announce_forks() noexcept {
        if (shares_) {
            announce_to_others();
        }
    }

    /// `claimed` when `expected` is the youngest forked child and has not been stolen: it is the
    /// caller's then. After `undecided`, resolve_claim() tells.
    [[nodiscard]] WEFT_ALWAYS_INLINE claim_status claim_fork(promise_base& expected) noexcept {
        return forks_.claim(&expected);
    }

    [[nodiscard]] bool resolve_claim() noexcept { return forks_.resolve_claim(); }

    /// Counts a fork. False when it is time for is_loop_due().
    [[nodiscard]] WEFT_ALWAYS_INLINE bool spend_fork() noexcept {
        if (fork_budget_ == 0) [[unlikely]] {
            return false;
        }
        --fork_budget_;
        return true;
    }

    /// Refills the budget of forks. True when the caller must return to the loop now, so that I/O,
    /// timers and foreign threads get a turn; at most once each fork_period, since a deep stack is
    /// taken down for it.
    [[nodiscard]] WEFT_COLD bool is_loop_due() noexcept;

    /// Arms `timer` for the driver clock's `deadline`.
    void add_timer(worker_timer& timer, nanoseconds_u64 deadline) noexcept;

    /// False when the timer has left the wheel already.
    bool cancel_timer(worker_timer& timer) noexcept { return wheel_.cancel(timer); }

    [[nodiscard]] nanoseconds_u64 now() const noexcept { return driver_->now(); }

    [[nodiscard]] io_backend* io() const noexcept { return driver_->io(); }

    [[nodiscard]] std::size_t timer_count() const noexcept { return wheel_.size(); }

    /// In a child process of fork(2): this worker's own driver is the parent's.
    void replace_driver(driver& by) noexcept { driver_ = &by; }

    // --- any thread ----------------------------------------------------------------

    /// Runs `request` on this worker's thread, soon. The request stays alive until then.
    void post(remote_request& request) noexcept;

    /// Makes the worker look at all of its sources.
    void wake() noexcept;

    /// Takes a share of this worker's runnables: one is returned, more may go to the thief's ring.
    [[nodiscard]] promise_base* steal_for(worker& thief, bool& contended) noexcept;

    /// What another worker would find.
    [[nodiscard]] supply stealable() const noexcept {
        if (!forks_.looks_empty()) {
            return supply::plenty;
        }
        std::size_t const ready = ready_.size_hint();
        return ready == 0 ? supply::none : ready == 1 ? supply::one : supply::plenty;
    }

    /// Grows with every coroutine that leaves the ring.
    [[nodiscard]] std::uint64_t turnover() const noexcept { return ready_.taken_hint(); }

    // --- constant after construction -------------------------------------------
    [[nodiscard]] scheduler& sched() const noexcept { return *scheduler_; }

    [[nodiscard]] unsigned index() const noexcept { return index_; }

    [[nodiscard]] driver& waits_in() const noexcept { return *driver_; }

private:
    enum class parker_state : std::uint32_t { running, parked, notified };

    [[nodiscard]] promise_base* next() noexcept;
    [[nodiscard]] promise_base* take_overdue() noexcept;
    [[nodiscard]] promise_base* next_local() noexcept;
    [[nodiscard]] promise_base* search() noexcept;
    [[nodiscard]] promise_base* search_one_left_behind() noexcept;
    [[nodiscard]] bool is_left_behind() const noexcept;
    void stop_searching() noexcept;
    promise_base* take_injected(bool to_run) noexcept;
    void maintain() noexcept;
    void park() noexcept;
    [[nodiscard]] bool finds_work_before_sleep(bool watches) noexcept;
    void choose_nap() noexcept;
    void hand_over_watch() noexcept;
    void block(bool watches) noexcept;
    void expire_timers() noexcept;
    void serve_remote() noexcept;
    void end_service() noexcept;
    void enqueue(promise_base& promise) noexcept;
    WEFT_COLD void refill() noexcept;
    void announce_to_others() noexcept;
    [[nodiscard]] nanoseconds_u64 next_deadline() const noexcept;

    // --- constant after construction, driver_ until a fork ------------------------
    scheduler* scheduler_;
    driver* driver_;
    unsigned index_;
    bool shares_;   // there are other workers
    bool may_nap_;  // and a clock that wakes this one while they run

    // --- worker's own thread only ---------------------------------------------------
    alignas(cache_line) std::uint32_t fork_budget_ = fork_budget;
    std::uint32_t runs_until_poll_ = poll_interval;
    std::uint32_t random_;
    std::uint32_t nap_ = 0;  // nanoseconds: this worker sleeps as the watcher; 0: soundly
    std::uint64_t turnover_seen_ = 0;
    nanoseconds_u64 forks_led_to_loop_at_ = 0;
    bool rose_for_one_ = false;  // since the last sleep
    bool searching_ = false;
    bool in_service_ = false;  // completions are being collected; end_service() announces them
    ready_list overflow_;      // ready, behind a full ring (I3)
    timer_wheel wheel_;

    // --- owner and thieves (their own protocols) -------------------------------------
    work_deque<runnable> forks_;
    ready_queue<runnable> ready_;

    // --- any thread, atomic (see Protocol) ---------------------------------------
    /// Written by the worker and by wakers.
    alignas(cache_line) atomic<parker_state> parker_{parker_state::running};
    remote_queue<&remote_request::next> remote_;
};

/// The worker whose thread this is, or null on a foreign thread. Fork-join reads it directly, in
/// functions that do not suspend: neither the worker nor the address of this variable may be kept
/// across a suspension, after which a coroutine can be on another thread.
WEFT_STATIC_TLS extern constinit thread_local worker* this_threads_worker;

/// The same for everybody else: never inlined, so that a coroutine reads it anew each time.
[[nodiscard]] worker* current_worker() noexcept;

/// The current worker; aborts with the operation's name where there is none.
[[nodiscard]] worker& require_worker(char const* operation) noexcept;

}  // namespace weft::detail
