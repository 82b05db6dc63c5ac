#include <weft/runtime/pass_stop.hpp>

#include <weft/runtime/worker.hpp>

namespace weft::detail {

std::coroutine_handle<> pass_stop(promise_base& waiter) noexcept {
    worker* const here = current_worker();
    if (here == nullptr) {
        return unwind(waiter);
    }
    waiter.stop_marked_ = true;
    here->push_ready(waiter);
    return std::noop_coroutine();
}

}  // namespace weft::detail
