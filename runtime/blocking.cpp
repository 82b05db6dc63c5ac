#include <weft/runtime/blocking.hpp>

#include <weft/runtime/base/argument.hpp>
#include <weft/runtime/scheduler.hpp>

#include <cstdint>
#include <ctime>
#include <thread>

#include <pthread.h>

namespace weft {

namespace detail {

namespace {

/// Of the task whose call this thread makes.
thread_local context const* context_of_call = nullptr;

[[nodiscard]] std::uint64_t monotonic_ns() noexcept {
    ::timespec time{};
    ::clock_gettime(CLOCK_MONOTONIC, &time);
    return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000U +
           static_cast<std::uint64_t>(time.tv_nsec);
}

}  // namespace

WEFT_NOINLINE void const* find_local_of_call(void const* key) noexcept {
    return context_of_call != nullptr ? find_local(*context_of_call, key) : nullptr;
}

outside_call::outside_call() noexcept : driver_(require_worker("blocking").waits_in()) {
    driver_.begin_outside_call();
}

void pool_visit::start(promise_base& visitor) {
    visitor_ = &visitor;
    bool const enrolled = enroll(&visitor.stop());  // keeps I1
    {
        scoped_lock const lock(pool_->mutex_);
        if (enrolled && stage_ == stage::idle) {
            pool_->make_thread();
            stage_ = stage::queued;
            pool_->queue_.push_back(*this);
            ++pool_->queued_;
            pool_->work_.notify_all();
            return;
        }
    }
    end_stopped();
}

/// The last access to the visit.
void pool_visit::end_stopped() noexcept {
    visitor_->stop_marked_ = true;
    visitor_->context_->sched->schedule(*visitor_);
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
    self.end_stopped();
}

void pool_return::go(promise_base& visitor) noexcept {
    visitor.context_->sched->schedule(visitor);
}

}  // namespace detail

blocking_pool::blocking_pool(unsigned threads_max, unsigned idle_ms)
    : threads_max_(threads_max)
    , idle_ms_(idle_ms) {
    detail::check_argument(threads_max != 0, "a blocking_pool needs a thread");
}

blocking_pool::~blocking_pool() {
    detail::scoped_lock const lock(mutex_);
    WEFT_CHECK(queue_.empty(), "a blocking_pool is destroyed while calls wait in it");
    closing_ = true;
    work_.notify_all();
    while (threads_ != 0) {
        ended_.wait(mutex_);
    }
}

/// Never destroyed: its threads may end after the statics are gone.
blocking_pool& blocking_pool::shared() {
    static blocking_pool* const pool = new blocking_pool;
    return *pool;
}

blocking_pool::counters blocking_pool::count() noexcept {
    detail::scoped_lock const lock(mutex_);
    return {threads_, idle_, queued_};
}

/// Under mutex_: a thread for one more call, if the idle ones have calls to make already.
void blocking_pool::make_thread() {
    if (idle_ > queued_ || threads_ == threads_max_) {
        return;
    }
    try {
        std::thread([this] { work(); }).detach();
        ++threads_;
    } catch (std::system_error const&) {
        if (threads_ == 0) {
            throw;
        }
    }
}

void blocking_pool::work() noexcept {
    ::pthread_setname_np(::pthread_self(), "weft-blocking");
    while (detail::pool_visit* const visit = next()) {
        detail::promise_base& visitor = *visit->visitor_;
        detail::context_of_call = visitor.context_;
        visitor.handle().resume();  // makes the call and goes back to its scheduler
        detail::context_of_call = nullptr;
    }
}

/// The next visit, or null when this thread is to end: then it has been counted out.
detail::pool_visit* blocking_pool::next() noexcept {
    detail::scoped_lock const lock(mutex_);
    std::uint64_t const deadline = detail::monotonic_ns() + std::uint64_t{idle_ms_} * 1'000'000U;
    bool in_time = true;
    ++idle_;
    while (queue_.empty() && in_time && !closing_) {
        in_time = work_.wait_until(mutex_, deadline);
    }
    --idle_;
    detail::pool_visit* const visit = queue_.pop_front();
    if (visit != nullptr) {
        --queued_;
        visit->stage_ = detail::pool_visit::stage::visiting;
    } else {
        --threads_;
        ended_.notify_all();  // under the mutex: the destructor cannot return before we are out
    }
    return visit;
}

}  // namespace weft
