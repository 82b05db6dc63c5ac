#include <weft/sync/locks/semaphore.hpp>

namespace weft::detail {

semaphore_core::semaphore_core(std::size_t permits, std::size_t limit)
    : limit_(limit)
    , word_(permits * permit) {
    check_argument(limit <= permits_max, "a semaphore's limit is above permits_max");
    check_argument(permits <= limit, "a semaphore begins with more permits than its limit");
}

bool semaphore_core::acquire_or_enlist(acquire_wait& wait) noexcept {
    // relaxed: hint — the exchanges below decide
    std::size_t word = word_.load(relaxed);
    for (;;) {
        if ((word & contended) != 0) {
            break;
        }
        if (word / permit >= wait.count) {
            // acquire: claim permits and observe what their releasers wrote; pairs with
            // release_permits():publish. The loser (relaxed: hint) looks again.
            if (word_.compare_exchange_weak(word, word - wait.count * permit, acquire, relaxed)) {
                return true;
            }
            continue;
        }
        // acquire: claim the word for lock_'s holders, who pass the permits on; pairs with
        // release_permits():publish. The loser (relaxed: hint) looks again.
        if (word_.compare_exchange_weak(word, word | contended, acquire, relaxed)) {
            break;
        }
    }
    waiters_.push_back(wait);
    return false;
}

/// Gives permits to those who wait, in order; what is left is free.
std::size_t semaphore_core::grant_from(std::size_t permits, waiter_list& woken) noexcept {
    while (waiter* const first = waiters_.front()) {
        std::size_t const wanted = static_cast<acquire_wait&>(*first).count;
        if (wanted > permits) {
            break;
        }
        if (first->grant(woken)) {
            permits -= wanted;
        }
    }
    return permits;
}

void semaphore_core::waiter_left(waiter_list& woken) noexcept {
    // relaxed: own — a contended word changes under lock_ only
    std::size_t const free = grant_from(word_.load(relaxed) / permit, woken);
    std::size_t const word = free * permit + (waiters_.empty() ? 0 : contended);
    // release: publish what releasers wrote before; pairs with try_acquire():claim
    word_.store(word, release);
}

void semaphore_core::release_contended(std::size_t count) noexcept {
    waiter_list woken;
    for (;;) {
        // relaxed: hint — the exchange, or lock_, decides
        std::size_t word = word_.load(relaxed);
        WEFT_CHECK(count <= limit_ - word / permit,
                   "a semaphore is released beyond its limit of permits");
        if ((word & contended) == 0) {
            // release: publish what the releaser wrote (I3); pairs with try_acquire():claim. The
            // loser (relaxed: hint) looks again.
            if (word_.compare_exchange_weak(word, word + count * permit, release, relaxed)) {
                break;
            }
            continue;
        }
        wait_guard const guard(lock_);
        // relaxed: own — a contended word changes under lock_ only
        word = word_.load(relaxed);
        if ((word & contended) == 0) {
            continue;
        }
        std::size_t const free = grant_from(word / permit + count, woken);
        bool const still_contended = !waiters_.empty();
        // relaxed: own — as above; who gets permits of a contended word gets them under lock_
        word_.store(still_contended ? free * permit + contended : 0, relaxed);
        if (still_contended || free == 0) {
            break;
        }
        count = free;  // keeps I3: to be published without lock_
    }
    wake_all(woken);
}

namespace {

acquire_wait& as_acquire(waiter& self) noexcept {
    return static_cast<acquire_wait&>(self);
}

constexpr wait_rules acquire_rules(
    "semaphore::acquire",
    [](waiter& self) noexcept {
        return as_acquire(self).target->acquire_or_enlist(as_acquire(self));
    },
    [](waiter& self, waiter_list& woken) noexcept { as_acquire(self).target->waiter_left(woken); });

}  // namespace

acquire_wait::acquire_wait(acquire_request const& request) noexcept
    : waiter(request.target->queue_lock(), acquire_rules)
    , target(request.target)
    , count(request.count) {}

}  // namespace weft::detail
