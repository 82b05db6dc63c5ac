#include <weft/runtime/testing/virtual_time.hpp>

#include <weft/runtime/base/assert.hpp>

namespace weft::detail {

void virtual_clock::begin_self_advance() noexcept {
    scoped_lock const lock(mutex_);
    ++self_advances_;
    try_advance();
}

void virtual_clock::end_self_advance() noexcept {
    scoped_lock const lock(mutex_);
    WEFT_ASSERT(self_advances_ != 0, "virtual time is stopped more often than it was started");
    --self_advances_;
}

void virtual_clock::begin_hold() noexcept {
    scoped_lock const lock(mutex_);
    ++holds_;
}

void virtual_clock::end_hold() noexcept {
    scoped_lock const lock(mutex_);
    WEFT_ASSERT(holds_ != 0, "virtual time is released more often than it was held");
    --holds_;
    try_advance();
}

void virtual_clock::advance(nanoseconds_u64 distance) noexcept {
    scoped_lock const lock(mutex_);
    WEFT_CHECK(!advancing_, "virtual time is advanced by two threads at once");
    advancing_ = true;
    target_ = time_after(now(), distance);
    try_advance();
    while (advancing_) {
        changed_.wait(mutex_);
    }
}

bool virtual_clock::everybody_waits() const noexcept {
    for (virtual_driver const* each = first_; each != nullptr; each = each->next_) {
        if (!each->parked_ || each->notified_) {
            return false;
        }
    }
    return true;
}

nanoseconds_u64 virtual_clock::earliest_deadline() const noexcept {
    nanoseconds_u64 earliest = no_deadline;
    for (virtual_driver const* each = first_; each != nullptr; each = each->next_) {
        earliest = each->deadline_ < earliest ? each->deadline_ : earliest;
    }
    return earliest;
}

/// Requires: mutex_ is held. keeps I2
void virtual_clock::move_to(nanoseconds_u64 time) noexcept {
    if (time > now()) {
        // release: publish the step; pairs with now():observe
        now_.store(time, release);
    } else {
        time = now();  // what is overdue is due
    }
    for (virtual_driver* each = first_; each != nullptr; each = each->next_) {
        each->notified_ = each->notified_ || each->deadline_ <= time;
    }
    changed_.notify_all();
}

/// Requires: mutex_ is held.
void virtual_clock::try_advance() noexcept {
    if (!everybody_waits()) {
        return;  // keeps I1
    }
    nanoseconds_u64 const earliest = earliest_deadline();
    if (advancing_ && earliest > target_) {
        advancing_ = false;  // keeps I3
        move_to(target_);
    }
    nanoseconds_u64 limit = now();
    if (advancing_) {
        limit = target_;
    } else if (self_advances_ != 0 && holds_ == 0) {
        limit = no_deadline - 1;
    }
    if (earliest <= limit) {
        move_to(earliest);
    }
}

virtual_driver::virtual_driver(virtual_clock& clock) noexcept
    : clock_(&clock)
    , next_(clock.first_) {
    clock.first_ = this;
}

virtual_driver::~virtual_driver() {
    scoped_lock const lock(clock_->mutex_);
    virtual_driver** link = &clock_->first_;
    while (*link != this) {
        link = &(*link)->next_;
    }
    *link = next_;
}

void virtual_driver::poll() noexcept {}

void virtual_driver::park(nanoseconds_u64 deadline) noexcept {
    scoped_lock const lock(clock_->mutex_);
    deadline_ = deadline;
    parked_ = true;
    clock_->try_advance();
    while (!notified_) {
        clock_->changed_.wait(clock_->mutex_);
    }
    notified_ = false;
    parked_ = false;
}

void virtual_driver::wake() noexcept {
    scoped_lock const lock(clock_->mutex_);
    notified_ = true;
    clock_->changed_.notify_all();
}

}  // namespace weft::detail
