#pragma once

/// How many children of a nursery run at once, where that is limited.
///
/// Protocol. A slot is taken before a child starts and given back when its frame is destroyed. Who
/// finds none waits in line, as a waiter (runtime/wait/wait_list.hpp).
///   enter: a slot is free and nobody in line? take it : stand in line
///   leave: somebody in line? the slot is granted to him : it is free
/// I1 The line is first in, first out; nobody overtakes it while somebody stands in it.

#include <weft/runtime/wait/wait_list.hpp>

#include <coroutine>
#include <cstddef>
#include <utility>

namespace weft::detail {

class spawn_gate;

/// A coroutine that waits for a slot.
class gate_wait : public waiter {
public:
    explicit gate_wait(spawn_gate& gate) noexcept;

    /// Gives what runs next.
    [[nodiscard]] std::coroutine_handle<> start(promise_base& spawning) noexcept;

private:
    static wait_rules const rules;

    [[nodiscard]] static bool admit(waiter& self) noexcept;

    spawn_gate* gate_;
    bool was_started_ = false;
};

class spawn_gate {
public:
    spawn_gate() noexcept = default;
    spawn_gate(spawn_gate const&) = delete;
    spawn_gate& operator=(spawn_gate const&) = delete;

    /// Any thread. A higher limit lets the first in line go on; with 0, all wait for that.
    void set_limit(std::size_t limit) noexcept;

    /// Any thread: takes a slot if that does not overtake anybody.
    [[nodiscard]] bool try_enter() noexcept;

    /// Any thread: gives a slot back.
    void leave() noexcept;

private:
    friend class gate_wait;

    [[nodiscard]] bool has_room() const noexcept { return taken_ < limit_; }

    // --- any thread, under lock_ -------------------------------------------------
    wait_lock lock_;
    std::size_t limit_ = ~std::size_t{0};
    std::size_t taken_ = 0;
    waiter_list line_;
};

/// A slot that was taken.
class gate_slot {
public:
    explicit gate_slot(spawn_gate& taken_from) noexcept : gate_(&taken_from) {}

    gate_slot(gate_slot&& other) noexcept : gate_(std::exchange(other.gate_, nullptr)) {}

    gate_slot& operator=(gate_slot&&) = delete;

    ~gate_slot() {
        if (gate_ != nullptr) {
            gate_->leave();
        }
    }

private:
    spawn_gate* gate_;
};

}  // namespace weft::detail
