#include <weft/sync/brief_lock.hpp>

#include <sched.h>

namespace weft::detail {

void spin_pause::give_processor_away() noexcept {
    ::sched_yield();
}

void brief_lock::lock_contended() noexcept {
    spin_pause pause;
    for (;;) {
        pause.once();
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
