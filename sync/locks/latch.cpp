#include <weft/sync/locks/latch.hpp>

#include <weft/runtime/base/argument.hpp>

namespace weft::detail {

latch_core::latch_core(std::size_t count) : word_(count * one) {
    check_argument(count <= count_max, "a latch's count is above count_max");
}

void latch_core::count_down(std::size_t n) noexcept {
    // relaxed: hint — the exchange decides
    std::size_t word = word_.load(relaxed);
    for (;;) {
        WEFT_CHECK(n <= word / one, "a latch is counted down below 0");
        std::size_t const next = word - n * one;
        if (next == contended) {
            waiter_list woken;
            if (open(woken)) {
                wake_all(woken);
                return;
            }
            // relaxed: hint — as above
            word = word_.load(relaxed);
            continue;
        }
        // acq_rel: publish what was written before (I1), together with what those wrote who counted
        // earlier; pairs with itself and is_open():observe. The loser (relaxed: hint) looks again.
        if (word_.compare_exchange_weak(word, next, acq_rel, relaxed)) {
            return;
        }
    }
}

/// The last of the count, with tasks waiting. False when that has changed meanwhile.
bool latch_core::open(waiter_list& woken) noexcept {
    wait_guard const guard(lock_);
    waiter* first = waiters_.front();
    if (first == nullptr) {
        return false;
    }
    for (; first != nullptr; first = waiters_.front()) {
        (void)first->grant(woken);
    }
    // acq_rel: publish what was written before, as count_down() does; pairs with is_open():observe
    word_.exchange(0, acq_rel);
    return true;
}

bool latch_core::pass_or_enlist(waiter& waiter) noexcept {
    // acquire: observe what was written before the count got to 0; pairs with count_down():publish
    std::size_t word = word_.load(acquire);
    while (word / one != 0) {
        if ((word & contended) != 0 ||
            // acquire: claim — sends who counts last to the list, which lock_ orders; pairs with
            // count_down():publish. The loser (acquire: observe) looks again.
            word_.compare_exchange_weak(word, word | contended, acquire, acquire)) {
            waiters_.push_back(waiter);
            return false;
        }
    }
    return true;
}

void latch_core::waiter_left() noexcept {
    if (waiters_.empty()) {
        // relaxed: hint — nobody is in the list, which lock_ orders
        word_.fetch_and(~contended, relaxed);
    }
}

namespace {

latch_core& core_of(waiter& self) noexcept {
    return *static_cast<latch_wait&>(self).target;
}

constexpr wait_rules latch_rules(
    "latch::wait",
    [](waiter& self) noexcept { return core_of(self).pass_or_enlist(self); },
    [](waiter& self, waiter_list&) noexcept { core_of(self).waiter_left(); });

}  // namespace

latch_wait::latch_wait(latch_request const& request) noexcept
    : waiter(request.target->queue_lock(), latch_rules)
    , target(request.target) {}

}  // namespace weft::detail
