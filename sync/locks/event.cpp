#include <weft/sync/locks/event.hpp>

namespace weft::detail {

void event_core::set(bool to_all) noexcept {
    waiter_list woken;
    for (;;) {
        // relaxed: hint — the exchange, or lock_, decides
        std::uint32_t word = word_.load(relaxed);
        if (word != contended) {
            // acq_rel: publish what the setter wrote (I2), over an earlier signal too, whose
            // writes it observes; pairs with is_signalled():observe and consume():claim. The loser
            // (relaxed: hint) looks again.
            if (word_.compare_exchange_weak(word, signalled, acq_rel, relaxed)) {
                return;
            }
            continue;
        }
        wait_guard const guard(lock_);
        waiter* first = waiters_.front();
        if (first == nullptr) {
            continue;  // the last of them was stopped
        }
        if (!to_all) {
            bool const granted = first->grant(woken);
            waiter_left();
            if (granted) {
                break;
            }
            continue;
        }
        for (; first != nullptr; first = waiters_.front()) {
            (void)first->grant(woken);
        }
        // release: publish what the setter wrote; pairs with is_signalled():observe
        word_.store(signalled, release);
        break;
    }
    wake_all(woken);
}

bool event_core::pass_or_enlist(waiter& waiter, bool consumes) noexcept {
    // acquire: observe what was written before the signal; pairs with set():publish
    std::uint32_t word = word_.load(acquire);
    for (;;) {
        if (word == signalled && !consumes) {
            return true;
        }
        std::uint32_t const wanted = word == signalled ? clear : contended;
        // acquire: claim the signal, or send setters to the list, which lock_ orders; pairs with
        // set():publish. The loser (acquire: observe) looks again.
        if (word == contended || word_.compare_exchange_weak(word, wanted, acquire, acquire)) {
            break;
        }
    }
    if (word == signalled) {
        return true;
    }
    waiters_.push_back(waiter);
    return false;
}

void event_core::waiter_left() noexcept {
    if (waiters_.empty()) {
        // relaxed: own — a contended word changes under lock_ only
        word_.store(clear, relaxed);
    }
}

namespace {

event_core& core_of(waiter& self) noexcept {
    return *static_cast<event_wait&>(self).target;
}

constexpr wait_rules event_rules(
    "wait of an event",
    [](waiter& self) noexcept {
        return core_of(self).pass_or_enlist(self, static_cast<event_wait&>(self).consumes);
    },
    [](waiter& self, waiter_list&) noexcept { core_of(self).waiter_left(); });

}  // namespace

event_wait::event_wait(event_request const& request) noexcept
    : waiter(request.target->queue_lock(), event_rules)
    , target(request.target)
    , consumes(request.consumes) {}

}  // namespace weft::detail
