#include <weft/sync/locks/barrier.hpp>

#include <weft/runtime/base/argument.hpp>

namespace weft::detail {

barrier_core::barrier_core(std::size_t participants, completion_function at_end)
    : complete_(at_end)
    , participants_(participants)
    , missing_(participants) {
    check_argument(participants != 0, "a barrier is made for no participants");
}

/// The last arrival: nobody can be stopped any more (I1).
void barrier_core::collect() noexcept {
    missing_ = 0;
    while (waiter* const each = waiters_.front()) {
        (void)each->grant(released_);
    }
}

bool barrier_core::arrive_if_last() noexcept {
    {
        wait_guard const guard(lock_);
        if (missing_ != 1) {
            return false;
        }
        collect();
    }
    end_phase();
    return true;
}

bool barrier_core::arrive_or_enlist(waiter& waiter) noexcept {
    WEFT_CHECK(missing_ != 0, "more tasks arrive at a barrier than take part in it");
    if (missing_ == 1) {
        collect();
        return true;
    }
    --missing_;
    waiters_.push_back(waiter);
    return false;
}

void barrier_core::arrive_and_leave() noexcept {
    {
        wait_guard const guard(lock_);
        WEFT_CHECK(missing_ != 0, "more tasks arrive at a barrier than take part in it");
        --participants_;
        if (missing_ != 1) {
            --missing_;
            return;
        }
        collect();
    }
    end_phase();
}

void barrier_core::end_phase() noexcept {
    complete_(*this);
    waiter_list woken;
    {
        wait_guard const guard(lock_);
        missing_ = participants_;
        woken.splice_back(released_);
    }
    wake_all(woken);  // keeps I3
}

namespace {

arrival_wait& as_arrival(waiter& self) noexcept {
    return static_cast<arrival_wait&>(self);
}

constexpr wait_rules arrival_rules(
    "barrier::arrive_and_wait",
    [](waiter& self) noexcept {
        arrival_wait& arrival = as_arrival(self);
        arrival.is_last = arrival.target->arrive_or_enlist(self);
        return arrival.is_last;
    },
    [](waiter& self, waiter_list&) noexcept { as_arrival(self).target->waiter_left(); });

}  // namespace

arrival_wait::arrival_wait(arrival_request const& request) noexcept
    : waiter(request.target->queue_lock(), arrival_rules)
    , target(request.target) {}

bool arrival_wait::begin(promise_base& promise) noexcept {
    bool const waits = waiter::begin(promise);
    if (!waits && is_last) {
        target->end_phase();
    }
    return waits;
}

}  // namespace weft::detail
