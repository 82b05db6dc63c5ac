#include <weft/sync/locks/mutex.hpp>

namespace weft::detail {

bool mutex_core::lock_or_enlist(waiter& waiter) noexcept {
    // relaxed: hint — the exchanges below decide
    std::uint32_t word = word_.load(relaxed);
    for (;;) {
        if (word == unlocked) {
            // acquire: claim the mutex and observe what its last holder wrote; pairs with
            // unlock():publish. The loser (relaxed: hint) looks again.
            if (word_.compare_exchange_weak(word, locked, acquire, relaxed)) {
                return true;
            }
        } else if (word == contended ||
                   // relaxed: claim — sends the holder to the list, which lock_ orders. The loser
                   // (relaxed: hint) looks again.
                   word_.compare_exchange_weak(word, contended, relaxed, relaxed)) {
            waiters_.push_back(waiter);
            return false;
        }
    }
}

void mutex_core::waiter_left() noexcept {
    if (waiters_.empty()) {
        // relaxed: own — a contended word changes under lock_ only
        word_.store(locked, relaxed);
    }
}

/// With the word contended, if anybody waits. False when nobody is left to have the mutex.
bool mutex_core::grant_first(waiter_list& woken) noexcept {
    bool granted = false;
    while (!granted) {
        waiter* const first = waiters_.front();
        if (first == nullptr) {
            return false;
        }
        granted = first->grant(woken);
        waiter_left();
    }
    return true;
}

/// The mutex stays locked if there is somebody to have it. Else the exchange that unlocks is the
/// last access: whoever locks then may destroy the mutex.
void mutex_core::hand_over() noexcept {
    waiter_list woken;
    for (;;) {
        {
            wait_guard const guard(lock_);
            // relaxed: own — the others change the holder's word to `contended` at most
            WEFT_CHECK(word_.load(relaxed) != unlocked, "an unlocked mutex is unlocked");
            if (grant_first(woken)) {
                break;
            }
        }
        std::uint32_t expected = locked;
        // release: publish what the holder wrote; pairs with try_lock():claim. The loser (relaxed:
        // hint) finds somebody who has come meanwhile.
        if (word_.compare_exchange_strong(expected, unlocked, release, relaxed)) {
            return;
        }
    }
    wake_all(woken);
}

namespace {

mutex_core& core_of(waiter& self) noexcept {
    return *static_cast<mutex_wait&>(self).target;
}

constexpr wait_rules lock_rules(
    "mutex::lock",
    [](waiter& self) noexcept { return core_of(self).lock_or_enlist(self); },
    [](waiter& self, waiter_list&) noexcept { core_of(self).waiter_left(); });

}  // namespace

mutex_wait::mutex_wait(lock_request const& request) noexcept
    : waiter(request.target->queue_lock(), lock_rules)
    , target(request.target) {}

}  // namespace weft::detail
