#include <weft/runtime/time/sleep.hpp>

#include <weft/runtime/sched/make_ready.hpp>
#include <weft/runtime/sched/scheduler.hpp>

namespace weft {

sleep_operation::sleep_operation(time_span length) noexcept : sleep_operation(length, true) {}

sleep_operation::sleep_operation(time_span time, bool from_now) noexcept
    : pinned_operation(&on_cancel)
    , worker_timer(&fired) {
    keep(time.nanoseconds(), from_now);
}

void sleep_operation::start(detail::promise_base& waiter) noexcept {
    detail::worker& here = detail::require_worker("sleep_for");
    if (begin(here, waiter)) {
        here.add_timer(*this, detail::time_after(kept_flag() ? here.now() : 0, kept_value()));
    } else {
        refuse();
    }
}

bool sleep_operation::completes_now() const noexcept {
    if (kept_flag()) {
        return kept_value() == 0;
    }
    detail::worker const* const here = detail::current_worker();
    return here != nullptr && here->now() >= kept_value();
}

void sleep_operation::fired(detail::worker_timer& timer) noexcept {
    static_cast<sleep_operation&>(timer).complete(false);
}

void sleep_operation::on_cancel(detail::pinned_operation& base) noexcept {
    auto& self = static_cast<sleep_operation&>(base);
    bool const removed = self.home().cancel_timer(self);
    WEFT_ASSERT(removed, "a sleep in flight has no timer");
    self.complete(true);
}

void yield_operation::requeue(detail::promise_base& waiter) noexcept {
    detail::worker& here = detail::require_worker("yield");
    detail::yield_here(here, waiter, detail::unwind_if(waiter.stop().stop_requested()));
}

}  // namespace weft
