#pragma once

/// Workers' life cycle and the queues between them.
///
/// Protocol of shutdown. Nothing is detached: every coroutine belongs to a scope, and the outermost
/// scopes are joined by a foreign thread (the runtime's join, or block_on) before stop() is called.
/// stop() therefore finds no live coroutine: it sets `stopping_`, wakes every worker, and
/// joins the threads.
///
/// Protocol of fork(2). The child has the thread that called it and no other. If that was a worker,
/// its driver is replaced by one that ends the process; whoever comes from outside finds that forks
/// have been counted since the scheduler was made. Operations pay nothing for that.
///
/// I1 A coroutine that is scheduled before stop() runs before the workers leave, because its scope
///    is joined first.
/// I2 A foreign thread that schedules a coroutine may still be waking a worker when that coroutine
///    has run, its scope is joined and the scheduler is being destroyed: the destructor waits until
///    inject() has been left by everybody.

#include <weft/runtime/base/function_ref.hpp>
#include <weft/runtime/core/idle_set.hpp>
#include <weft/runtime/core/inject_queue.hpp>
#include <weft/runtime/sched/worker.hpp>

#include <cstddef>

namespace weft::detail {

class task_group;

/// Makes the driver of worker `index`; called on the constructing thread.
using driver_factory = function_ref<driver*(unsigned index)>;

class scheduler {
public:
    /// Starts `worker_count` threads. Throws what the factory throws, or std::system_error when a
    /// thread cannot be started; then nothing is left running.
    scheduler(unsigned worker_count, driver_factory make_driver);

    scheduler(scheduler const&) = delete;
    scheduler& operator=(scheduler const&) = delete;

    /// Foreign thread. Requires: every coroutine has ended.
    ~scheduler();

    // --- any thread ----------------------------------------------------------------

    /// Makes a suspended coroutine ready: on the current worker if it is one of ours, else through
    /// the global queue.
    void schedule(promise_base& promise) noexcept;

    /// Makes a coroutine ready behind everything in the global queue.
    void inject(promise_base& promise) noexcept;

    /// Wakes a sleeper if work that was just published needs one. Orders the publication itself
    /// (idle_set I1).
    void notify() noexcept {
        fence_light();
        if (idle_.wanted()) [[unlikely]] {
            wake_one();
        }
    }

    /// The same for a single coroutine that stands in a worker's ring and that this worker runs
    /// soon.
    void notify_of_one() noexcept {
        fence_light();
        if (idle_.wanted_for_one()) [[unlikely]] {
            wake_one();
        }
    }

    [[nodiscard]] unsigned worker_count() const noexcept { return worker_count_; }

    /// The scope of tasks that belong to nobody else.
    [[nodiscard]] task_group& root() const noexcept { return *root_; }

    /// Owner, once, before the first coroutine is scheduled.
    void set_root(task_group& root) noexcept { root_ = &root; }

    [[nodiscard]] worker& worker_at(unsigned index) noexcept;

    /// Ends the process if it is a child of the one that made this scheduler.
    void check_process() const noexcept;

    /// True when called on one of this scheduler's workers.
    [[nodiscard]] bool is_current() const noexcept;

private:
    friend class worker;

    struct slot;
    static constexpr unsigned nobody = idle_set::nobody;

    WEFT_COLD void wake_one() noexcept;
    void stop() noexcept;
    [[nodiscard]] supply stealable(unsigned except) const noexcept;
    [[nodiscard]] std::uint64_t turnover(unsigned except) const noexcept;

    // --- constant after construction -------------------------------------------
    unsigned worker_count_;
    slot* slots_;
    task_group* root_ = nullptr;
    unsigned forks_before_;  // see Protocol of fork(2)

    // --- any thread (their own protocols) ----------------------------------------
    idle_set idle_;
    inject_queue<&runnable::next> injected_;

    // --- any thread, atomic (see Protocol) ---------------------------------------
    /// Written by stop(), read by workers.
    atomic<bool> stopping_{false};
    /// Written by threads inside inject(), read by the destructor (I2).
    atomic<unsigned> visitors_{0};
};

}  // namespace weft::detail
