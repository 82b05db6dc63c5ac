#include <weft/runtime/wait/brief_lock.hpp>

#include <sched.h>

namespace weft::detail {

namespace {

#if defined(WEFT_ATOMICS_REPLACED)
constexpr unsigned first_pause = 1;  // a model checker wants to be told once
constexpr unsigned longest_pause = 1;
#else
// How often a waiter looks. Rarely: while it stays away, the cache line stays with the other one,
// which gets through a hundred operations in the time that a dozen take when both touch it.
constexpr unsigned first_pause = 128;
constexpr unsigned longest_pause = 1024;
#endif
constexpr unsigned pauses_before_yield = 8;

}  // namespace

void spin_pause::give_processor_away() noexcept {
    ::sched_yield();
}

void brief_lock::lock_contended() noexcept {
    unsigned length = first_pause;
    for (unsigned round = 0;; ++round) {
        if (round < pauses_before_yield) {
            for (unsigned i = 0; i < length; ++i) {
                cpu_relax();
            }
            length = length < longest_pause ? 2 * length : length;
        } else {
            ::sched_yield();  // the holder may have been preempted
        }
        // relaxed: hint — the exchange below decides
        if (held_.load(relaxed)) {
            continue;
        }
        // acquire: claim the lock and observe what it protects; pairs with unlock():publish. The
        // loser waits on.
        if (!held_.exchange(true, acquire)) {
            return;
        }
    }
}

}  // namespace weft::detail
