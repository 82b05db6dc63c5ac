#include <weft/runtime/scope/detail/spawn_gate.hpp>

namespace weft::detail {

void spawn_gate::set_limit(std::size_t limit) noexcept {
    std::size_t freed = 0;
    {
        wait_guard const lock(lock_);
        limit_ = limit;
        freed = limit > taken_ ? limit - taken_ : 0;
    }
    for (; freed != 0; --freed) {
        {
            wait_guard const lock(lock_);
            if (line_.empty() || !has_room()) {
                return;
            }
            ++taken_;
        }
        leave();  // the slot goes to the first in line
    }
}

bool spawn_gate::try_enter() noexcept {
    wait_guard const lock(lock_);
    if (!line_.empty() || !has_room()) {
        return false;
    }
    ++taken_;
    return true;
}

void spawn_gate::leave() noexcept {
    waiter_list woken;
    {
        wait_guard const lock(lock_);
        if (line_.empty() || taken_ > limit_) {
            --taken_;
            return;
        }
        (void)line_.front()->grant(woken);
    }
    wake_all(woken);
}

constinit wait_rules const gate_wait::rules("a limited spawn", &admit);

gate_wait::gate_wait(spawn_gate& gate) noexcept : waiter(gate.lock_, rules), gate_(&gate) {}

std::coroutine_handle<> gate_wait::start(promise_base& spawning) noexcept {
    WEFT_CHECK(!std::exchange(was_started_, true), "a spawn is awaited twice");
    return begin(spawning) ? std::noop_coroutine() : go_on(spawning);
}

bool gate_wait::admit(waiter& self) noexcept {
    spawn_gate& gate = *static_cast<gate_wait&>(self).gate_;
    if (gate.line_.empty() && gate.has_room()) {
        ++gate.taken_;
        return true;
    }
    gate.line_.push_back(self);
    return false;
}

}  // namespace weft::detail
