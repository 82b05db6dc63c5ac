#include <weft/runtime/pool/blocking.hpp>

#include <weft/runtime/base/argument.hpp>
#include <weft/runtime/base/sys.hpp>
#include <weft/runtime/sched/make_ready.hpp>
#include <weft/runtime/sched/pass_stop.hpp>
#include <weft/runtime/sched/scheduler.hpp>
#include <weft/runtime/sched/thread_event.hpp>

#include <cstdint>
#include <exception>
#include <thread>
#include <utility>

#include <pthread.h>

namespace weft {

namespace detail {

namespace {

/// Of the task whose call this thread makes.
thread_local context const* context_of_call = nullptr;

}  // namespace

WEFT_NOINLINE void const* find_local_of_call(void const* key) noexcept {
    return context_of_call != nullptr ? find_local(*context_of_call, key) : nullptr;
}

outside_call::outside_call() noexcept : driver_(require_worker("blocking").waits_in()) {
    driver_.begin_outside_call();
}

void pool_visit::start(promise_base& visitor) {
    visitor_ = &visitor;
    blocking_pool& pool = *pool_;
    bool const enrolled = enroll(&visitor.stop());  // keeps I1
    bool is_admitted = false;
    blocking_pool::seat* waiting = nullptr;
    {
        scoped_lock const lock(pool.mutex_);
        if (enrolled && stage_ == stage::idle) {
            waiting = pool.admit(*this);
            is_admitted = true;
        }
    }
    if (!is_admitted) {
        make_ready(visitor, wake_as::unwind);
    } else if (waiting != nullptr) {
        pool.call(*waiting);  // keeps I3
    }
}

void pool_visit::on_stop(stop_node& node) noexcept {
    auto& self = static_cast<pool_visit&>(node);
    {
        scoped_lock const lock(self.pool_->mutex_);
        if (self.stage_ != stage::queued) {
            if (self.stage_ == stage::idle) {
                self.stage_ = stage::stopped;  // start() sees it
            }
            return;
        }
        self.stage_ = stage::stopped;
        self.unlink();
        --self.pool_->queued_;
    }
    make_ready(*self.visitor_, wake_as::unwind);
}

void pool_return::go(promise_base& visitor) noexcept {
    make_ready(visitor);
}

}  // namespace detail

namespace {

/// Written by whoever is first to want it, and by a child of fork.
constinit detail::atomic<blocking_pool*> shared_pool{nullptr};
blocking_pool* pool_of_parent = nullptr;  // for what looks for leaks

/// In a child of fork, which has none of the pool's threads: another one is made when it is wanted.
void forget_shared_pool() noexcept {
    // relaxed: own — the child has one thread yet
    pool_of_parent = shared_pool.exchange(nullptr, detail::relaxed);
}

}  // namespace

blocking_pool::blocking_pool(blocking_pool_options const& options)
    : threads_max_(options.threads_max)
    , idle_time_(options.idle.nanoseconds()) {
    detail::check_argument(threads_max_ != 0, "a blocking_pool needs a thread");
}

blocking_pool::~blocking_pool() {
    {
        detail::scoped_lock const lock(mutex_);
        WEFT_CHECK(queue_.empty(),
                   "a blocking_pool is destroyed while calls wait in it" WEFT_END_TASKS_FIRST);
        closing_ = true;
        for (seat* each = waiting_.front(); each != nullptr; each = waiting_.after(*each)) {
            each->called.notify_all();
        }
        while (threads_ != 0) {
            ended_.wait(mutex_);
        }
    }
    // acquire: observe that they are out (I5); pairs with call():publish
    while (callers_.load(detail::acquire) != 0) {
        std::this_thread::yield();
    }
    while (seat* const each = left_.pop_front()) {
        delete each;
    }
}

/// Never destroyed: its threads may end after the statics are gone.
blocking_pool& blocking_pool::shared() {
    [[maybe_unused]] static int const error =
        ::pthread_atfork(nullptr, nullptr, &forget_shared_pool);
    // acquire: observe the pool; pairs with the exchange below
    blocking_pool* pool = shared_pool.load(detail::acquire);
    if (pool == nullptr) {
        auto* const made = new blocking_pool;
        // acq_rel: publish the pool; pairs with the load above and with itself. The loser (acquire:
        // observe) takes the winner's.
        if (shared_pool.compare_exchange_strong(pool, made, detail::acq_rel, detail::acquire)) {
            return *made;
        }
        delete made;
    }
    return *pool;
}

blocking_pool::counters blocking_pool::count() noexcept {
    detail::scoped_lock const lock(mutex_);
    return {threads_, idle_, queued_};
}

/// Under mutex_. The seat of the thread to wake for the visit, or null.
blocking_pool::seat* blocking_pool::admit(detail::pool_visit& visit) {
    seat* const waiting = waiting_.pop_front();
    seat* const taken = waiting != nullptr ? waiting : make_thread();
    if (taken == nullptr) {
        visit.stage_ = detail::pool_visit::stage::queued;
        queue_.push_back(visit);
        ++queued_;
        return nullptr;
    }
    visit.stage_ = detail::pool_visit::stage::visiting;
    taken->visit = &visit;
    if (waiting != nullptr) {
        --idle_;
        // relaxed: count — the mutex orders it before the thread's end, and so the destructor (I5)
        callers_.fetch_add(1, detail::relaxed);
    }
    return waiting;
}

/// Under mutex_. The seat of a new thread, which begins with the visit that is put there; null if
/// there may be no more threads, or can be none and there are some.
blocking_pool::seat* blocking_pool::make_thread() {
    if (threads_ == threads_max_) {
        return nullptr;
    }
    try {
        if (left_.empty()) {
            left_.push_back(*new seat);
        }
        seat& own = *left_.front();
        std::thread([this, &own] { work(own); }).detach();
        own.unlink();
        ++threads_;
        return &own;
    } catch (std::exception const&) {
        if (threads_ == 0) {
            throw;
        }
        return nullptr;
    }
}

/// keeps I5: without the mutex.
void blocking_pool::call(seat& waiting) noexcept {
    waiting.called.notify_all();  // its thread: nobody else waits there
    // release: publish that this thread is out; pairs with the destructor's observe
    callers_.fetch_sub(1, detail::release);
}

void blocking_pool::work(seat& own) noexcept {
    ::pthread_setname_np(::pthread_self(), "weft-blocking");
    while (detail::pool_visit* const visit = next(own)) {
        detail::promise_base& visitor = *visit->visitor_;
        detail::borrowed_time const time(visitor.context_->sched->worker_at(0).waits_in());
        detail::context_of_call = visitor.context_;
        detail::call_for_task const call(visitor.context_->sched);
        visitor.handle().resume();  // makes the call and goes back to its scheduler
        detail::context_of_call = nullptr;
    }
}

/// The next visit, or null when this thread is to end: then it has been counted out.
detail::pool_visit* blocking_pool::next(seat& own) noexcept {
    detail::scoped_lock const lock(mutex_);
    if (own.visit == nullptr) {  // a new thread begins with one
        own.visit = queue_.pop_front();
        if (own.visit != nullptr) {
            --queued_;
            own.visit->stage_ = detail::pool_visit::stage::visiting;
        } else if (!closing_) {
            wait_in(own);
        }
    }
    if (own.visit == nullptr) {
        left_.push_front(own);
        --threads_;
        ended_.notify_all();  // under the mutex: the destructor cannot return before we are out
    }
    return std::exchange(own.visit, nullptr);
}

/// Under mutex_. Until there is a visit in the seat, or no reason to wait for one any more.
void blocking_pool::wait_in(seat& own) noexcept {
    std::uint64_t const deadline = detail::time_after(detail::sys::monotonic_ns(), idle_time_);
    bool in_time = true;
    waiting_.push_front(own);
    ++idle_;
    while (own.visit == nullptr && in_time && !closing_) {
        in_time = own.called.wait_until(mutex_, deadline);
    }
    if (own.visit == nullptr) {
        own.unlink();
        --idle_;
    }
}

}  // namespace weft
