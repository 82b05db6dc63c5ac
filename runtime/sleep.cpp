#include <weft/runtime/sleep.hpp>

#include <weft/runtime/scheduler.hpp>

namespace weft {

namespace detail {

nanoseconds_u64 to_nanoseconds(clock::duration duration) noexcept {
    auto const count = std::chrono::duration_cast<std::chrono::nanoseconds>(duration).count();
    return count > 0 ? static_cast<nanoseconds_u64>(count) : 0;
}

}  // namespace detail

sleep_operation::sleep_operation(clock::duration duration) noexcept
    : pinned_operation(&on_cancel)
    , worker_timer(&fired) {
    keep(detail::to_nanoseconds(duration), true);
}

sleep_operation::sleep_operation(clock::time_point deadline) noexcept
    : pinned_operation(&on_cancel)
    , worker_timer(&fired) {
    keep(detail::to_nanoseconds(deadline.time_since_epoch()), false);
}

void sleep_operation::start(detail::promise_base& waiter) noexcept {
    detail::worker& here = detail::require_worker("sleep_for");
    if (begin(here, waiter)) {
        here.add_timer(*this, kept_flag() ? here.now() + kept_value() : kept_value());
    } else {
        refuse();
    }
}

void sleep_operation::fired(detail::worker_timer& timer) noexcept {
    static_cast<sleep_operation&>(timer).settle(false);
}

void sleep_operation::on_cancel(detail::pinned_operation& base) noexcept {
    auto& self = static_cast<sleep_operation&>(base);
    bool const removed = self.home().cancel_timer(self);
    WEFT_ASSERT(removed, "a sleep in flight has no timer");
    self.settle(true);
}

void yield_operation::requeue(detail::promise_base& waiter) noexcept {
    detail::worker& here = detail::require_worker("yield");
    waiter.stop_marked_ = waiter.stop().stop_requested();
    here.push_yielded(waiter);
}

}  // namespace weft
