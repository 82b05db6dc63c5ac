#include <weft/runtime/thread_event.hpp>

namespace weft::detail {

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

}  // namespace weft::detail
