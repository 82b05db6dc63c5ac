#pragma once

/// How many children of a nursery run at once, where that is limited.
///
/// Protocol. A slot is taken before a child starts and given back when its frame is destroyed. Who
/// finds none waits in line.
///   enter: enroll with the waiter's stop → lock → stopped meanwhile? refuse : slot free and nobody
///          in line? take it : stand in line → unlock
///   leave: lock → somebody in line? the slot is his, take him out : count it → unlock → schedule
///   stop:  lock → in line? take him out : remember → unlock → schedule him as stopped
/// I1 Whoever takes a waiter out of the line schedules it, as its last access.
/// I2 The line is first in, first out; nobody overtakes it while somebody stands in it.

#include <weft/runtime/base/intrusive_list.hpp>
#include <weft/runtime/base/mutex.hpp>
#include <weft/runtime/coro/promise.hpp>

#include <concepts>
#include <coroutine>
#include <cstddef>
#include <utility>

namespace weft::detail {

class spawn_gate;

/// A coroutine that waits for a slot.
class gate_wait : private stop_node, public intrusive_list_hook<gate_wait> {
public:
    explicit gate_wait(spawn_gate& gate) noexcept : stop_node(&on_stop), gate_(&gate) {}

    gate_wait(gate_wait const&) = delete;
    gate_wait& operator=(gate_wait const&) = delete;

    ~gate_wait() { withdraw(); }

    /// Gives what runs next.
    [[nodiscard]] std::coroutine_handle<> begin(promise_base& waiter) noexcept;

private:
    friend class spawn_gate;

    static void on_stop(stop_node& node) noexcept;

    // --- constant after begin() ----------------------------------------------------
    spawn_gate* gate_;
    promise_base* waiter_ = nullptr;

    // --- any thread, under the gate's mutex_ -----------------------------------------
    bool is_stopped_ = false;
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

    // --- any thread, under mutex_ ------------------------------------------------
    mutex mutex_;
    std::size_t limit_ = ~std::size_t{0};
    std::size_t taken_ = 0;
    intrusive_list<gate_wait> line_;
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
