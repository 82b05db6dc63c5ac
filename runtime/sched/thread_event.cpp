#include <weft/runtime/sched/thread_event.hpp>

namespace weft::detail {

namespace {

thread_local scheduler const* home_of_call = nullptr;

}  // namespace

void thread_event::signal() noexcept {
    scoped_lock const lock(mutex_);
    signalled_ = true;
    condition_.notify_all();  // under the lock: the waiter cannot return, and destroy us, before it
}

void thread_event::wait() noexcept {
    scoped_lock const lock(mutex_);
    while (!signalled_) {
        condition_.wait(mutex_);
    }
}

WEFT_NOINLINE call_for_task::call_for_task(scheduler const* home) noexcept {
    home_of_call = home;
}

WEFT_NOINLINE call_for_task::~call_for_task() {
    home_of_call = nullptr;
}

WEFT_NOINLINE bool makes_call_for(scheduler const& home) noexcept {
    return home_of_call == &home;
}

}  // namespace weft::detail
