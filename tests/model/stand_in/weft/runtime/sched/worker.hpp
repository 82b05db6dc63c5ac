#pragma once

/// Stands in front of the library's worker in models of coroutines: what primitives and combinators
/// ask of one, on the stepper. Its queues are exact and cost one step each; the real ones have
/// models of their own. See tests/model/coroutines.hpp.

#include <weft/runtime/base/function_ref.hpp>
#include <weft/runtime/core/timer_wheel.hpp>
#include <weft/runtime/core/work_deque.hpp>
#include <weft/runtime/coro/promise.hpp>
#include <weft/runtime/sched/driver.hpp>
#include <weft/tests/model/stepper.hpp>

#include <cstdint>
#include <deque>
#include <vector>

namespace weft::model {

class crew;

}  // namespace weft::model

namespace weft::detail {

class scheduler;
class worker;

struct worker_timer : timer_node {
    using fire_function = void (*)(worker_timer&) noexcept;

    explicit worker_timer(fire_function f) noexcept : fire(f) {}

    fire_function fire;
};

/// What a worker of a model waits in: nothing.
class no_driver final : public driver {
public:
    void poll() noexcept override {}

    void park(nanoseconds_u64) noexcept override {}

    void wake() noexcept override {}

    [[nodiscard]] nanoseconds_u64 now() const noexcept override { return model::now(); }
};

class worker {
public:
    worker(scheduler& owner, unsigned index) noexcept : scheduler_(&owner), index_(index) {}

    worker(worker const&) = delete;
    worker& operator=(worker const&) = delete;

    // --- worker's own thread ------------------------------------------------------
    void push_ready(promise_base& promise) noexcept;

    void push_yielded(promise_base& promise) noexcept { push_ready(promise); }

    void push_fork(promise_base& promise);

    /// Whether a join opens itself to thieves at once, or keeps its children until it must wait.
    [[nodiscard]] bool wants_forks() const noexcept { return model::choose(2) == 0; }

    void announce_forks() noexcept {}

    [[nodiscard]] claim_status claim_fork(promise_base& expected) noexcept;
    [[nodiscard]] bool resolve_claim() noexcept;

    [[nodiscard]] bool spend_fork() noexcept { return true; }

    [[nodiscard]] bool is_loop_due() noexcept { return true; }

    void add_timer(worker_timer& timer, nanoseconds_u64 deadline) noexcept;
    bool cancel_timer(worker_timer& timer) noexcept;

    [[nodiscard]] nanoseconds_u64 now() const noexcept;

    [[nodiscard]] io_backend* io() const noexcept { return io_; }

    [[nodiscard]] std::size_t timer_count() const noexcept { return timers_.size(); }

    // --- any thread ----------------------------------------------------------------
    void post(remote_request& request) noexcept;

    void wake() noexcept {}

    [[nodiscard]] scheduler& sched() const noexcept { return *scheduler_; }

    [[nodiscard]] unsigned index() const noexcept { return index_; }

    [[nodiscard]] driver& waits_in() noexcept { return driver_; }

private:
    friend class scheduler;
    friend class model::crew;

    template <class T>
    struct passed {
        T* item;
        model::knowledge known;
    };

    struct armed {
        worker_timer* timer;
        nanoseconds_u64 deadline;
    };

    // --- constant after construction -------------------------------------------
    scheduler* scheduler_;
    unsigned index_;
    io_backend* io_ = nullptr;
    no_driver driver_;

    // --- any thread: only one runs, and a step lies in front of each access ------------
    std::deque<passed<promise_base>> forks_;
    std::deque<passed<remote_request>> requests_;
    std::vector<armed> timers_;
};

extern constinit thread_local worker* this_threads_worker;

[[nodiscard]] worker* current_worker() noexcept;
[[nodiscard]] worker& require_worker(char const* operation) noexcept;

}  // namespace weft::detail
