#include <weft/runtime/resilience/detail/permit_queue.hpp>

#include <weft/runtime/coro/ready_budget.hpp>
#include <weft/runtime/sched/make_ready.hpp>
#include <weft/runtime/sched/pass_stop.hpp>
#include <weft/runtime/sched/scheduler.hpp>

namespace weft::detail {

permit_queue::~permit_queue() {
    WEFT_CHECK(counters_.taken == 0 && waiting_.empty(),
               "a bulkhead or rate limiter is destroyed while calls run in it or wait for "
               "it" WEFT_END_TASKS_FIRST);
}

bool permit_operation::begin(promise_base& waiter) noexcept {
    WEFT_CHECK(waiter.context_->sched != nullptr,
               "a bulkhead or rate limiter needs a runtime: await it in a task that one runs");
    waiter_ = &waiter;
    if (!enroll(&waiter.stop())) {
        make_ready(waiter, wake_as::unwind);
        return true;
    }
    permit_queue& queue = *queue_;
    bool stopped = false;
    {
        scoped_lock const lock(queue.mutex_);
        permit_counters& counters = queue.counters_;
        if (stop_came_) {
            stopped = true;  // keeps I2
        } else if (counters.taken < queue.permits_) {
            ++counters.taken;
            ++counters.granted;
            granted_ = true;
        } else if (counters.waiting >= queue.waiting_most_) {
            ++counters.refused;
        } else {
            ++counters.waiting;
            ++counters.waited;
            queue.waiting_.push_back(*this);
            return true;  // keeps I1: no access any more
        }
    }
    if (stopped) {
        make_ready(waiter, wake_as::unwind);
        return true;
    }
    return !spend_budget() && give_way(waiter);
}

void permit_operation::on_stop(stop_node& node) noexcept {
    auto& self = static_cast<permit_operation&>(node);
    promise_base* waiter = nullptr;
    {
        scoped_lock const lock(self.queue_->mutex_);
        self.stop_came_ = true;
        if (self.is_linked()) {
            self.unlink();
            --self.queue_->counters_.waiting;
            ++self.queue_->counters_.stopped;
            waiter = self.waiter_;
        }
    }
    if (waiter != nullptr) {
        make_ready(*waiter, wake_as::unwind);
    }
}

void permit_queue::release() noexcept {
    promise_base* next = nullptr;
    {
        scoped_lock const lock(mutex_);
        if (permit_operation* const first = waiting_.pop_front(); first != nullptr) {
            first->granted_ = true;  // keeps I3: taken stays as it is
            next = first->waiter_;
            --counters_.waiting;
            ++counters_.granted;
        } else {
            WEFT_ASSERT(counters_.taken != 0, "a permit is given back that nobody took");
            --counters_.taken;
        }
    }
    if (next != nullptr) {
        make_ready(*next);
    }
}

permit_counters permit_queue::counters() const noexcept {
    scoped_lock const lock(mutex_);
    return counters_;
}

}  // namespace weft::detail
