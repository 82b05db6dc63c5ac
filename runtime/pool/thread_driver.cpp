#include <weft/runtime/pool/thread_driver.hpp>

#include <weft/runtime/base/sys.hpp>

namespace weft::detail {

void thread_driver::poll() noexcept {}

void thread_driver::park(nanoseconds_u64 deadline) noexcept {
    scoped_lock const lock(mutex_);
    while (!notified_) {
        if (deadline == no_deadline) {
            condition_.wait(mutex_);
        } else if (!condition_.wait_until(mutex_, deadline)) {
            break;
        }
    }
    notified_ = false;
}

void thread_driver::wake() noexcept {
    scoped_lock const lock(mutex_);
    notified_ = true;
    condition_.notify_all();
}

nanoseconds_u64 thread_driver::now() const noexcept {
    return sys::monotonic_ns();
}

}  // namespace weft::detail
