#include <weft/runtime/scope/detail/spawn_gate.hpp>

#include <weft/runtime/sched/make_ready.hpp>
#include <weft/runtime/sched/pass_stop.hpp>
#include <weft/runtime/sched/scheduler.hpp>

namespace weft::detail {

void spawn_gate::set_limit(std::size_t limit) noexcept {
    std::size_t freed = 0;
    {
        scoped_lock const lock(mutex_);
        limit_ = limit;
        freed = limit > taken_ ? limit - taken_ : 0;
    }
    for (; freed != 0; --freed) {
        {
            scoped_lock const lock(mutex_);
            if (line_.empty() || !has_room()) {
                return;
            }
            ++taken_;
        }
        leave();  // the slot goes to the first in line
    }
}

bool spawn_gate::try_enter() noexcept {
    scoped_lock const lock(mutex_);
    if (!line_.empty() || !has_room()) {
        return false;
    }
    ++taken_;
    return true;
}

void spawn_gate::leave() noexcept {
    promise_base* waiter = nullptr;
    {
        scoped_lock const lock(mutex_);
        gate_wait* const next = taken_ > limit_ ? nullptr : line_.pop_front();
        if (next == nullptr) {
            --taken_;
            return;
        }
        waiter = next->waiter_;
    }
    make_ready(*waiter);  // keeps I1
}

std::coroutine_handle<> gate_wait::begin(promise_base& waiter) noexcept {
    WEFT_CHECK(waiter_ == nullptr, "a spawn is awaited twice");
    waiter_ = &waiter;
    if (!enroll(&waiter.stop())) {
        return pass_stop(waiter);
    }
    bool stopped = false;
    {
        scoped_lock const lock(gate_->mutex_);
        if (is_stopped_) {
            stopped = true;
        } else if (gate_->line_.empty() && gate_->has_room()) {
            ++gate_->taken_;
        } else {
            gate_->line_.push_back(*this);
            return std::noop_coroutine();
        }
    }
    return stopped ? pass_stop(waiter) : go_on(waiter);
}

void gate_wait::on_stop(stop_node& node) noexcept {
    auto& self = static_cast<gate_wait&>(node);
    spawn_gate& gate = *self.gate_;
    {
        scoped_lock const lock(gate.mutex_);
        self.is_stopped_ = true;
        if (!self.is_linked()) {
            return;  // it has its slot, or begin() will see that it is stopped
        }
        self.unlink();
    }
    make_ready(*self.waiter_, wake_as::unwind);
}

}  // namespace weft::detail
