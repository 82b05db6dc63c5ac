#include <weft/runtime/sched/worker.hpp>

#include <weft/runtime/coro/ready_budget.hpp>
#include <weft/runtime/sched/scheduler.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace weft::detail {

namespace {

/// Ticks of the timer wheel: 1.024 µs each. A deadline is rounded up, so that no timer fires early.
constexpr unsigned tick_shift = 10;

constexpr std::uint64_t tick_at_or_after(nanoseconds_u64 time) noexcept {
    return (time >> tick_shift) + ((time & ((1U << tick_shift) - 1)) != 0 ? 1 : 0);
}

/// For how long a thief looks at a single coroutine before it believes that its worker is busy,
/// in rounds of cpu_relax(): one or two microseconds, about the price of the steal.
#if defined(WEFT_ATOMICS_REPLACED)
constexpr unsigned patience = 1;
#else
constexpr unsigned patience = 100;
#endif

/// Nanoseconds. What is left behind is found after the longest nap at the latest.
constexpr std::uint32_t shortest_nap = 1U << 16U;
constexpr std::uint32_t longest_nap = 1U << 20U;

/// A worker whose ring turns over in less time than this, in nanoseconds, needs no help with a
/// single coroutine.
#if defined(WEFT_ATOMICS_REPLACED)
constexpr unsigned quick_run_shift = 16;  // one coroutine in the shortest nap
#else
constexpr unsigned quick_run_shift = 14;
#endif

}  // namespace

WEFT_STATIC_TLS constinit thread_local worker* this_threads_worker = nullptr;

WEFT_NOINLINE worker* current_worker() noexcept {
    worker* const here = this_threads_worker;
    asm volatile("" ::: "memory");  // keeps the compiler from treating the function as constant
    return here;
}

worker& require_worker(char const* operation) noexcept {
    worker* const here = current_worker();
    if (here == nullptr) [[unlikely]] {
        std::fprintf(stderr,
                     "weft: %s needs a runtime: await it in a task that a runtime runs\n",
                     operation);
        std::abort();
    }
    return *here;
}

worker::worker(scheduler& owner, unsigned index, driver& waits_in)
    : scheduler_(&owner)
    , driver_(&waits_in)
    , index_(index)
    , shares_(owner.worker_count() > 1)
    , may_nap_(shares_ && waits_in.has_running_clock())
    , random_(index * 2654435769U + 1U) {}

void worker::loop() noexcept {
    this_threads_worker = this;
    driver_->attach();
    wheel_.start_at(driver_->now() >> tick_shift);
    // relaxed: hint — nothing is read through it; the wake-up that follows it publishes it
    while (!scheduler_->stopping_.load(relaxed)) {
        if (promise_base* const promise = next(); promise != nullptr) {
            if (searching_) [[unlikely]] {
                stop_searching();
            }
            run(*promise);
        } else {
            park();
        }
    }
    driver_->detach();
    this_threads_worker = nullptr;
}

promise_base* worker::next() noexcept {
    if (--runs_until_poll_ == 0) [[unlikely]] {
        runs_until_poll_ = poll_interval;
        maintain();
        if (promise_base* const overdue = take_overdue(); overdue != nullptr) {
            if (!ready_.looks_empty()) {
                scheduler_->notify_of_one();  // it was to run next, and waits for this one now
            }
            return overdue;
        }
    }
    ready_budget = ready_budget_full;
    if (promise_base* const local = next_local(); local != nullptr) [[likely]] {
        return local;
    }
    if (promise_base* const injected = take_injected(true); injected != nullptr) {
        return injected;
    }
    return search();
}

/// What stands behind the ring in order, and would never start while the ring is busy.
promise_base* worker::take_overdue() noexcept {
    // The oldest fork, as a thief would: an endless pile of younger ones may lie on it.
    if (runnable* const oldest = forks_.take_oldest(); oldest != nullptr) {
        take_injected(false);  // the forks may have no end either
        return &promise_base::from(*oldest);
    }
    return take_injected(true);
}

promise_base* worker::next_local() noexcept {
    if (!overflow_.empty() && ready_.size_hint() <= decltype(ready_)::capacity / 2) [[unlikely]] {
        refill();
    }
    runnable* const ready = shares_ ? ready_.try_pop() : ready_.try_pop_alone();
    if (ready != nullptr) {
        return &promise_base::from(*ready);
    }
    if (runnable* const oldest = overflow_.pop_front(); oldest != nullptr) [[unlikely]] {
        return &promise_base::from(*oldest);  // thieves have emptied the ring meanwhile
    }
    if (runnable* const forked = forks_.pop(); forked != nullptr) {
        return &promise_base::from(*forked);
    }
    return nullptr;
}

/// One to run, if it is for that, and a share for the ring, so that the mutex is taken once per
/// batch.
promise_base* worker::take_injected(bool to_run) noexcept {
    auto& queue = scheduler_->injected_;
    if (queue.looks_empty()) {
        return nullptr;
    }
    std::size_t const share = 1 + queue.size_hint() / scheduler_->worker_count_;
    std::size_t const room = decltype(ready_)::capacity / 2;
    ready_list batch = queue.pop_batch(share < room ? share : room);
    runnable* const first = to_run ? batch.pop_front() : nullptr;
    bool several = false;
    while (runnable* const each = batch.pop_front()) {
        enqueue(promise_base::from(*each));
        several = true;
    }
    if (several || !queue.looks_empty()) {
        scheduler_->notify();
    }
    return first != nullptr ? &promise_base::from(*first) : nullptr;
}

promise_base* worker::search() noexcept {
    if (!shares_) {
        return nullptr;
    }
    if (!searching_) {
        searching_ = scheduler_->idle_.begin_search();
    }
    if (!searching_) {
        return nullptr;
    }
    promise_base* found = nullptr;
    bool contended = true;
    for (unsigned round = 0; contended && found == nullptr && round < 4; ++round) {
        contended = false;
        random_ = random_ * 1664525U + 1013904223U;
        unsigned const count = scheduler_->worker_count_;
        unsigned const start = (random_ >> 16U) % count;
        for (unsigned i = 0; i < count && found == nullptr; ++i) {
            unsigned const victim = (start + i) % count;
            if (victim != index_) {
                found = scheduler_->worker_at(victim).steal_for(*this, contended);
            }
        }
    }
    if (found == nullptr) {
        found = search_one_left_behind();
    }
    if (found != nullptr) {
        nap_ = 0;
    }
    return found;
}

promise_base* worker::search_one_left_behind() noexcept {
    for (unsigned victim = 0; victim < scheduler_->worker_count_; ++victim) {
        worker& other = scheduler_->worker_at(victim);
        if (victim != index_ && other.is_left_behind()) {
            if (runnable* const single = other.ready_.try_pop(); single != nullptr) {
                return &promise_base::from(*single);
            }
        }
    }
    return nullptr;
}

/// Another worker's question, with patience: is there one that does not get its turn?
bool worker::is_left_behind() const noexcept {
    std::uint64_t const taken = ready_.taken_hint();
    for (unsigned i = 0; i < patience; ++i) {
        if (ready_.looks_empty() || ready_.taken_hint() != taken) {
            return false;
        }
        cpu_relax();
    }
    return true;
}

void worker::stop_searching() noexcept {
    searching_ = false;
    auto const look = [this] {
        return scheduler_->injected_.looks_empty() ? scheduler_->stealable(scheduler::nobody)
                                                   : supply::plenty;
    };
    supply const more = scheduler_->idle_.end_search(look);
    if (more == supply::plenty) {
        scheduler_->notify();
    } else if (more == supply::one) {
        scheduler_->notify_of_one();
    }
}

promise_base* worker::steal_for(worker& thief, bool& contended) noexcept {
    runnable* taken[decltype(ready_)::capacity / 2];
    std::size_t const count =
        ready_.size_hint() > 1 ? ready_.take_half(taken, decltype(ready_)::capacity / 2) : 0;
    if (count != 0) {
        for (std::size_t i = 1; i < count; ++i) {
            thief.enqueue(promise_base::from(*taken[i]));
        }
        return &promise_base::from(*taken[0]);
    }
    auto const stolen = forks_.steal();
    if (stolen.status == steal_status::ok) {
        return &promise_base::from(*stolen.item);
    }
    contended = contended || stolen.status == steal_status::lost;
    return nullptr;
}

void worker::enqueue(promise_base& promise) noexcept {
    if (overflow_.empty() && ready_.try_push(&promise)) [[likely]] {
        return;
    }
    overflow_.push_back(promise);
}

/// keeps I3
void worker::refill() noexcept {
    while (runnable* const oldest = overflow_.pop_front()) {
        if (!ready_.try_push(oldest)) {
            overflow_.push_front(*oldest);
            break;
        }
        // A thief may run and free it from here on.
    }
    scheduler_->notify();  // thieves could not see them before
}

void worker::push_ready(promise_base& promise) noexcept {
    enqueue(promise);
    if (in_service_) {
        return;
    }
    if (ready_.size_hint() > 1) {
        scheduler_->notify();
    } else {
        scheduler_->notify_of_one();
    }
}

void worker::push_yielded(promise_base& promise) noexcept {
    enqueue(promise);
    std::size_t const ready = ready_.size_hint();
    if (ready > 2) {
        scheduler_->notify();
    } else if (ready == 2) {
        scheduler_->notify_of_one();  // the other one runs next
    }
}

bool worker::is_loop_due() noexcept {
    fork_budget_ = fork_budget;
    if (driver_->has_running_clock()) {
        nanoseconds_u64 const time = now();
        if (time - forks_led_to_loop_at_ < fork_period) {
            return false;
        }
        forks_led_to_loop_at_ = time;
    }
    // Here, since the loop itself looks at nothing but its queues most of the times.
    maintain();
    take_injected(false);
    return true;
}

void worker::announce_to_others() noexcept {
    scheduler_->notify();
}

void worker::add_timer(worker_timer& timer, nanoseconds_u64 deadline) noexcept {
    wheel_.insert(timer, tick_at_or_after(deadline));
}

void worker::post(remote_request& request) noexcept {
    (void)remote_.push(request);
    wake();
}

void worker::wake() noexcept {
    // release: publish what was queued before, even over an earlier notification, whose release
    // sequence it continues (I1); pairs with block():observe
    if (parker_.exchange(parker_state::notified, release) == parker_state::parked) {
        driver_->wake();
    }
}

void worker::serve_remote() noexcept {
    auto requests = remote_.take_all();
    while (remote_request* const each = requests.pop_front()) {
        each->run(*each);
    }
}

void worker::expire_timers() noexcept {
    if (wheel_.empty()) {
        return;
    }
    timer_list expired;
    wheel_.advance(driver_->now() >> tick_shift, expired);
    while (timer_node* const each = expired.pop_front()) {
        auto& timer = static_cast<worker_timer&>(*each);
        timer.fire(timer);
    }
}

/// What became ready during a service is announced once, and only if it is more than one coroutine:
/// this worker runs that soon.
void worker::end_service() noexcept {
    in_service_ = false;
    if (ready_.size_hint() > 1) {
        scheduler_->notify();
    }
}

void worker::maintain() noexcept {
    in_service_ = true;
    serve_remote();
    if (driver_->has_pending()) {
        driver_->poll();
    }
    expire_timers();
    end_service();
}

nanoseconds_u64 worker::next_deadline() const noexcept {
    std::uint64_t const tick = wheel_.next_expiry();
    return tick < end_of_time >> tick_shift ? tick << tick_shift : no_deadline;
}

void worker::park() noexcept {
    auto& idle = scheduler_->idle_;
    choose_nap();
    bool const watches = idle.begin_sleep(index_, searching_, nap_ != 0);
    searching_ = false;
    if (finds_work_before_sleep(watches)) {
        return;
    }
    in_service_ = true;
    block(watches);
    searching_ = idle.end_sleep(index_);
    if (watches && !searching_) {
        hand_over_watch();
    }
    serve_remote();
    expire_timers();
    end_service();
    runs_until_poll_ = poll_interval;
}

/// keeps idle_set I1, I3: whoever published before seeing us asleep is found here. A lone worker
/// has no publisher that relies on the light fence, so a full fence does. True when the worker is
/// up again.
bool worker::finds_work_before_sleep(bool watches) noexcept {
    auto& idle = scheduler_->idle_;
    bool work = false;
    if (!shares_) {
        fence_seq_cst();
    } else {
        fence_heavy();
        supply const others = scheduler_->stealable(index_);
        // A single coroutine is the watcher's business (idle_set I5).
        rose_for_one_ = others == supply::one && !watches && !idle.is_watched();
        work = others == supply::plenty || rose_for_one_;
    }
    if (work || !scheduler_->injected_.looks_empty()) {
        searching_ = idle.rise(index_, !scheduler_->injected_.looks_empty());
        return searching_;
    }
    return false;
}

/// Nothing was found. If that is because the others' rings turn over quickly, the next sleep is a
/// nap, and the longer, the longer that lasts.
void worker::choose_nap() noexcept {
    if (!may_nap_) {
        return;
    }
    std::uint64_t const turnover = scheduler_->turnover(index_);
    std::uint64_t const change = turnover - turnover_seen_;
    turnover_seen_ = turnover;
    bool const is_quick = change >= (std::max(nap_, shortest_nap) >> quick_run_shift);
    if (!is_quick && !rose_for_one_) {
        nap_ = 0;
    } else if (nap_ == 0) {
        nap_ = shortest_nap;
    } else if (nap_ < longest_nap) {
        nap_ *= 2;
    }
    rose_for_one_ = false;
}

/// The watch is over, and nobody was woken for the single coroutines that came meanwhile: somebody
/// else has to see to them, who sleeps (idle_set I5).
void worker::hand_over_watch() noexcept {
    auto const look = [this] { return scheduler_->stealable(index_); };
    if (scheduler_->idle_.end_watch(look) != supply::none) {
        scheduler_->notify_of_one();
    }
}

void worker::block(bool watches) noexcept {
    nanoseconds_u64 deadline = next_deadline();
    if (watches) {
        deadline = std::min(deadline, driver_->now() + nap_);
    }
    parker_state expected = parker_state::running;
    // relaxed: claim the right to block; the exchange below observes. The loser (relaxed) was
    // notified: it only polls.
    if (parker_.compare_exchange_strong(expected, parker_state::parked, relaxed, relaxed)) {
        driver_->park(deadline);
    } else {
        driver_->poll();
    }
    // acquire: observe the latest waker's work (I1) and take the notification; pairs with
    // wake():publish
    parker_.exchange(parker_state::running, acquire);
}

}  // namespace weft::detail
