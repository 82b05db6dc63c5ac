#include <weft/runtime/sched/scheduler.hpp>

#include <algorithm>
#include <exception>
#include <memory>
#include <new>
#include <system_error>
#include <thread>

#include <pthread.h>

namespace weft::detail {

namespace {

/// How many forks lie between the first process and this one. Written in a child only, before it
/// has a second thread.
unsigned fork_count = 0;

[[noreturn]] void refuse_child() noexcept {
    panic(__FILE__,
          __LINE__,
          "fork",
          "a runtime is used in a child process of fork, which has none of its threads: let the "
          "child make its own, exec or _exit");
}

/// What a worker of the parent waits in when its thread has become the child.
class driver_of_child final : public driver {
public:
    void poll() noexcept override { refuse_child(); }

    void park(nanoseconds_u64) noexcept override { refuse_child(); }

    void wake() noexcept override { refuse_child(); }

    [[nodiscard]] nanoseconds_u64 now() const noexcept override { refuse_child(); }

    [[nodiscard]] bool has_pending() const noexcept override { refuse_child(); }
};

driver_of_child refusing;

void on_fork_in_child() noexcept {
    ++fork_count;
    if (worker* const here = current_worker(); here != nullptr) {
        here->replace_driver(refusing);
    }
}

/// Once per process.
void watch_forks() {
    static int const error = ::pthread_atfork(nullptr, nullptr, &on_fork_in_child);
    if (error != 0) {
        throw std::system_error(error, std::system_category(), "pthread_atfork");
    }
}

}  // namespace

/// A worker with its driver and its thread; on the heap, because a worker does not move.
struct scheduler::slot {
    std::unique_ptr<driver> waits_in;
    std::unique_ptr<worker> runs;
    std::thread thread;
};

scheduler::scheduler(unsigned worker_count, driver_factory make_driver)
    : worker_count_(worker_count)
    , slots_(nullptr)
    , forks_before_(fork_count)
    , idle_(worker_count) {
    watch_forks();
    init_asymmetric_fence();
    auto slots = std::make_unique<slot[]>(worker_count);
    for (unsigned i = 0; i < worker_count; ++i) {
        slots[i].waits_in.reset(make_driver(i));
        slots[i].runs = std::make_unique<worker>(*this, i, *slots[i].waits_in);
    }
    slots_ = slots.release();
    try {
        for (unsigned i = 0; i < worker_count; ++i) {
            worker& each = *slots_[i].runs;
            slots_[i].thread = std::thread([&each] { each.loop(); });
        }
    } catch (...) {
        stop();
        delete[] slots_;
        throw;
    }
}

scheduler::~scheduler() {
    stop();
    // acquire: observe that they are out (I2); pairs with inject():publish
    while (visitors_.load(acquire) != 0) {
        std::this_thread::yield();
    }
    WEFT_CHECK(injected_.looks_empty(), "a scheduler is destroyed while coroutines wait to run");
    delete[] slots_;
}

void scheduler::stop() noexcept {
    // relaxed: hint — as in worker::loop(); wake() publishes it
    stopping_.store(true, relaxed);
    for (unsigned i = 0; i < worker_count_; ++i) {
        slots_[i].runs->wake();
    }
    for (unsigned i = 0; i < worker_count_; ++i) {
        if (slots_[i].thread.joinable()) {
            slots_[i].thread.join();
        }
    }
}

worker& scheduler::worker_at(unsigned index) noexcept {
    return *slots_[index].runs;
}

void scheduler::check_process() const noexcept {
    if (fork_count != forks_before_) [[unlikely]] {
        refuse_child();
    }
}

bool scheduler::is_current() const noexcept {
    worker const* const here = current_worker();
    return here != nullptr && &here->sched() == this;
}

void scheduler::schedule(promise_base& promise) noexcept {
    worker* const here = current_worker();
    if (here != nullptr && &here->sched() == this) {
        here->push_ready(promise);
    } else {
        inject(promise);
    }
}

void scheduler::inject(promise_base& promise) noexcept {
    check_process();
    // relaxed: count — the queue orders it before the coroutine's end, and so the destructor (I2)
    visitors_.fetch_add(1, relaxed);
    injected_.push(promise);
    fence_seq_cst();  // keeps idle_set I1 for a lone worker, which parks behind a full fence only
    notify();
    // release: publish that this thread is out; pairs with the destructor's observe
    visitors_.fetch_sub(1, release);
}

void scheduler::wake_one() noexcept {
    unsigned const chosen = idle_.pick();
    if (chosen != idle_set::nobody) {
        worker_at(chosen).wake();
    }
}

supply scheduler::stealable(unsigned except) const noexcept {
    supply most = supply::none;
    for (unsigned i = 0; i < worker_count_; ++i) {
        if (i != except) {
            most = std::max(most, slots_[i].runs->stealable());
        }
    }
    return most;
}

std::uint64_t scheduler::turnover(unsigned except) const noexcept {
    std::uint64_t sum = 0;
    for (unsigned i = 0; i < worker_count_; ++i) {
        if (i != except) {
            sum += slots_[i].runs->turnover();
        }
    }
    return sum;
}

}  // namespace weft::detail
