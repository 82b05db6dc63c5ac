#include <weft/sync/locks/shared_mutex.hpp>

namespace weft::detail {

namespace {

shared_mutex_wait& as_wait(waiter& self) noexcept {
    return static_cast<shared_mutex_wait&>(self);
}

constexpr wait_rules lock_rules(
    "a lock of shared_mutex",
    [](waiter& self) noexcept { return as_wait(self).target->lock_or_enlist(as_wait(self)); },
    [](waiter& self, waiter_list& woken) noexcept { as_wait(self).target->waiter_left(woken); });

}  // namespace

shared_mutex_wait::shared_mutex_wait(shared_mutex_request const& request) noexcept
    : waiter(request.target->queue_lock(), lock_rules)
    , target(request.target)
    , exclusive(request.exclusive) {}

bool shared_mutex_core::lock_or_enlist(shared_mutex_wait& wait) noexcept {
    std::size_t const obstacles = wait.exclusive ? ~std::size_t{0} : writer | contended;
    // relaxed: hint — the exchanges below decide
    std::size_t word = word_.load(relaxed);
    for (;;) {
        bool const enters = (word & obstacles) == 0;
        if (!enters && (word & contended) != 0) {
            break;
        }
        std::size_t const entered = word + (wait.exclusive ? writer : reader);
        // acquire: claim the lock, or the word for lock_'s holders, who pass the lock on; observe
        // what its last holders wrote; pairs with unlock():publish and unlock_shared():publish. The
        // loser (relaxed: hint) looks again.
        if (word_.compare_exchange_weak(
                word, enters ? entered : word | contended, acquire, relaxed)) {
            if (enters) {
                return true;
            }
            break;
        }
    }
    waiters_.push_back(wait);
    return false;
}

/// Under lock_, with the word contended: `holders` are inside. Lets in whom it can.
void shared_mutex_core::admit_next(std::size_t holders, waiter_list& woken) noexcept {
    for (waiter* first = waiters_.front(); first != nullptr; first = waiters_.front()) {
        bool const exclusive = as_wait(*first).exclusive;
        if ((holders & writer) != 0 || (exclusive && holders != 0)) {
            break;
        }
        if (first->grant(woken)) {
            holders += exclusive ? writer : reader;
        }
    }
    // release: publish what those wrote who left before; pairs with try_lock():claim and
    // try_lock_shared():claim
    word_.store(holders | (waiters_.empty() ? 0 : contended), release);
}

void shared_mutex_core::waiter_left(waiter_list& woken) noexcept {
    // relaxed: own — a contended word changes under lock_ only
    admit_next(word_.load(relaxed) & ~contended, woken);
}

void shared_mutex_core::unlock_contended() noexcept {
    waiter_list woken;
    for (;;) {
        {
            wait_guard const guard(lock_);
            // relaxed: own — the others change the writer's word to `contended` at most
            std::size_t const word = word_.load(relaxed);
            WEFT_CHECK((word & writer) != 0, "a shared_mutex is unlocked that no writer holds");
            if ((word & contended) != 0) {
                admit_next(0, woken);
                break;
            }
        }
        std::size_t expected = writer;
        // release: publish what the writer wrote (I3); pairs with try_lock():claim and
        // try_lock_shared():claim. The loser (relaxed: hint) finds somebody who has come meanwhile.
        if (word_.compare_exchange_strong(expected, 0, release, relaxed)) {
            return;
        }
    }
    wake_all(woken);
}

void shared_mutex_core::unlock_shared_contended() noexcept {
    waiter_list woken;
    for (;;) {
        // relaxed: hint — the exchange, or lock_, decides
        std::size_t word = word_.load(relaxed);
        WEFT_CHECK(word >= reader, "a shared_mutex is unlocked that no reader holds");
        if ((word & contended) == 0) {
            // release: publish that the reader has read (I3); pairs with try_lock():claim. The
            // loser (relaxed: hint) looks again.
            if (word_.compare_exchange_weak(word, word - reader, release, relaxed)) {
                return;
            }
            continue;
        }
        wait_guard const guard(lock_);
        // relaxed: own — a contended word changes under lock_ only
        word = word_.load(relaxed);
        if ((word & contended) != 0) {
            admit_next((word & ~contended) - reader, woken);
            break;
        }
    }
    wake_all(woken);
}

}  // namespace weft::detail
