#include <weft/runtime/core/handle_cell.hpp>

#include <sched.h>

namespace weft::detail {

/// The requester is a few instructions from its end, unless it was preempted.
void handle_cell::wait_a_little() noexcept {
    cpu_relax();
    ::sched_yield();
}

}  // namespace weft::detail
