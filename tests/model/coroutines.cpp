#include <weft/tests/model/coroutines.hpp>

#include <algorithm>

namespace weft::detail {

constinit thread_local worker* this_threads_worker = nullptr;

WEFT_NOINLINE worker* current_worker() noexcept {
    worker* const here = this_threads_worker;
    asm volatile("" ::: "memory");  // keeps the compiler from treating the function as constant
    return here;
}

worker& require_worker(char const* operation) noexcept {
    worker* const here = current_worker();
    if (here == nullptr) {
        model::fail(operation);
    }
    return *here;
}

scheduler::scheduler(unsigned worker_count) {
    for (unsigned i = 0; i < worker_count; ++i) {
        workers_.push_back(std::make_unique<worker>(*this, i));
    }
}

void scheduler::schedule(promise_base& promise) noexcept {
    model::step();
    ready_.push_back({&promise, model::hand_over()});
    model::step();
}

void worker::push_ready(promise_base& promise) noexcept {
    model::expect(current_worker() == this, "a worker's queue is pushed to from elsewhere");
    scheduler_->schedule(promise);
}

void worker::push_fork(promise_base& promise) {
    model::expect(current_worker() == this, "a worker's fork is pushed from elsewhere");
    forks_.push_back({&promise, model::hand_over()});
    model::step();
}

claim_status worker::claim_fork(promise_base& expected) noexcept {
    model::step();
    if (forks_.empty() || forks_.back().item != &expected) {
        return claim_status::lost;
    }
    if (forks_.size() == 1 && model::choose(2) != 0) {
        return claim_status::undecided;
    }
    forks_.pop_back();
    return claim_status::claimed;
}

bool worker::resolve_claim() noexcept {
    model::step();
    bool const mine = !forks_.empty();
    forks_.clear();
    return mine;
}

nanoseconds_u64 worker::now() const noexcept {
    return model::now();
}

void worker::add_timer(worker_timer& timer, nanoseconds_u64 deadline) noexcept {
    model::expect(current_worker() == this, "a timer is armed away from its home");
    timers_.push_back({&timer, deadline});
}

bool worker::cancel_timer(worker_timer& timer) noexcept {
    model::expect(current_worker() == this, "a timer is cancelled away from its home");
    return std::erase_if(timers_, [&](armed const& each) { return each.timer == &timer; }) != 0;
}

void worker::post(remote_request& request) noexcept {
    model::step();
    requests_.push_back({&request, model::hand_over()});
    model::step();
}

}  // namespace weft::detail

namespace weft::model {

using detail::promise_base;
using detail::worker;

void crew::run() {
    auto works = [this](unsigned index) noexcept { work(scheduler_.worker_at(index)); };

    struct hand {
        decltype(works)* run;
        unsigned index;

        void operator()() const noexcept { (*run)(index); }
    };

    unsigned const count = scheduler_.worker_count();
    std::deque<hand> hands;
    std::deque<thread> threads;
    for (unsigned i = 1; i < count; ++i) {
        threads.emplace_back(hands.emplace_back(hand{&works, i}));
    }
    works(0);
    for (thread& each : threads) {
        each.join();
    }
    expect(scheduler_.ready_.empty() && !has_forks(), "a coroutine is ready after the end");
    for (auto const& each : scheduler_.workers_) {
        expect(each->requests_.empty(), "a request travels after the end");
        expect(each->timers_.empty(), "a timer is armed after the end");
    }
}

bool crew::has_forks() const noexcept {
    return std::any_of(scheduler_.workers_.begin(),
                       scheduler_.workers_.end(),
                       [](auto const& each) { return !each->forks_.empty(); });
}

void crew::add(promise_base& promise) {
    ++unfinished_;
    if (first_.size() < scheduler_.worker_count()) {
        first_.push_back(&promise);
    } else {
        scheduler_.ready_.push_back({&promise, hand_over()});
    }
}

/// Also true when there will be none any more.
bool crew::has_work(void const* argument) noexcept {
    auto const& [self, here] = *static_cast<std::pair<crew*, worker*> const*>(argument);
    return self->is_over() || !here->requests_.empty() || !self->scheduler_.ready_.empty() ||
           self->has_forks();
}

void crew::work(worker& here) noexcept {
    detail::this_threads_worker = &here;
    if (here.index() < first_.size()) {
        run_one(*first_[here.index()]);
    }
    std::pair<crew*, worker*> const mine(this, &here);
    for (;;) {
        detail::nanoseconds_u64 deadline = no_deadline;
        for (auto const& each : here.timers_) {
            deadline = std::min(deadline, each.deadline);
        }
        (void)await(&has_work, &mine, deadline);
        if (is_over()) {
            break;
        }
        serve(here);
    }
    detail::this_threads_worker = nullptr;
}

/// Does one thing of those that wait, if any.
void crew::serve(worker& here) noexcept {
    enum class source : std::uint8_t { coroutine, request, timer };

    source able[3];
    std::size_t count = 0;
    if (!scheduler_.ready_.empty() || has_forks()) {
        able[count++] = source::coroutine;
    }
    if (!here.requests_.empty()) {
        able[count++] = source::request;
    }
    auto const due = std::find_if(here.timers_.begin(), here.timers_.end(), [](auto const& each) {
        return each.deadline <= now();
    });
    if (due != here.timers_.end()) {
        able[count++] = source::timer;
    }
    if (count == 0) {
        return;
    }
    switch (able[choose(count)]) {
        case source::coroutine:
            run_one(*take(here));
            break;
        case source::request: {
            auto const [request, known] = here.requests_.front();
            here.requests_.pop_front();
            take_over(known);
            request->run(*request);
            break;
        }
        case source::timer: {
            detail::worker_timer& timer = *due->timer;
            here.timers_.erase(due);
            timer.fire(timer);
            break;
        }
    }
}

promise_base* crew::take(worker& here) noexcept {
    auto pick = [](auto& queue, auto place) noexcept {
        auto const taken = *place;
        queue.erase(place);
        take_over(taken.known);
        return taken.item;
    };
    if (!scheduler_.ready_.empty()) {
        return pick(scheduler_.ready_, scheduler_.ready_.begin());
    }
    if (!here.forks_.empty()) {
        return pick(here.forks_, here.forks_.end() - 1);
    }
    for (auto const& each : scheduler_.workers_) {
        if (!each->forks_.empty()) {
            return pick(each->forks_, each->forks_.begin());
        }
    }
    fail("a worker takes from empty queues");
}

void crew::run_one(promise_base& promise) noexcept {
    detail::run(promise);
}

bool gate::suspend(promise_base& waiter) noexcept {
    step();
    if (is_open_) {
        take_over(known_);
        return false;
    }
    known_ = hand_over();
    waiter_ = &waiter;
    return true;
}

void gate::open() noexcept {
    step();
    is_open_ = true;
    take_over(known_);
    known_ = hand_over();
    if (waiter_ != nullptr) {
        waiter_->context_->sched->schedule(*waiter_);
    }
}

job::job(crew& workers, task<> work, detail::stop_state* parent)
    : end_hook(&done)
    , crew_(&workers)
    , context_(&workers.scheduler_, parent)
    , work_(std::move(work)) {
    promise_base& promise = detail::task_access::promise(work_);
    promise.context_ = &context_;
    promise.completion_ = this;
    workers.add(promise);
}

std::coroutine_handle<> job::done(end_hook& base, promise_base& promise) noexcept {
    auto& self = static_cast<job&>(base);
    expect(self.ended_ == detail::outcome::pending, "a coroutine ends twice");
    self.ended_ = promise.outcome_;
    self.work_ = {};
    --self.crew_->unfinished_;
    return std::noop_coroutine();
}

}  // namespace weft::model
