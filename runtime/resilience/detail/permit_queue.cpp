#include <weft/runtime/resilience/detail/permit_queue.hpp>

namespace weft::detail {

constinit wait_rules const permit_operation::rules("a bulkhead or rate limiter",
                                                   &admit,
                                                   &leave_queue);

permit_operation::permit_operation(permit_queue& queue) noexcept
    : waiter(queue.lock_, rules)
    , queue_(&queue) {}

bool permit_operation::admit(waiter& self) noexcept {
    auto& asking = static_cast<permit_operation&>(self);
    permit_queue& queue = *asking.queue_;
    permit_counters& counters = queue.counters_;
    if (counters.taken < queue.permits_) {
        ++counters.taken;
        ++counters.granted;
        return true;
    }
    if (counters.waiting >= queue.waiting_most_) {
        ++counters.refused;
        asking.is_refused_ = true;
        return true;
    }
    ++counters.waiting;
    ++counters.waited;
    queue.waiting_.push_back(self);
    return false;
}

/// A stop has taken the waiter out of the queue.
void permit_operation::leave_queue(waiter& self, waiter_list&) noexcept {
    permit_counters& counters = static_cast<permit_operation&>(self).queue_->counters_;
    --counters.waiting;
    ++counters.stopped;
}

permit_queue::~permit_queue() {
    WEFT_CHECK(counters_.taken == 0 && waiting_.empty(),
               "a bulkhead or rate limiter is destroyed while calls run in it or wait for "
               "it" WEFT_END_TASKS_FIRST);
}

void permit_queue::release() noexcept {
    waiter_list woken;
    {
        wait_guard const lock(lock_);
        if (waiter* const first = waiting_.front(); first != nullptr) {
            (void)first->grant(woken);  // keeps I1: taken stays as it is
            --counters_.waiting;
            ++counters_.granted;
        } else {
            WEFT_ASSERT(counters_.taken != 0, "a permit is given back that nobody took");
            --counters_.taken;
        }
    }
    wake_all(woken);
}

permit_counters permit_queue::counters() const noexcept {
    wait_guard const lock(lock_);
    return counters_;
}

}  // namespace weft::detail
