#pragma once

/// What hands ended children to the one coroutine that asks for them, in the order in which they
/// ended.
///
/// Protocol. Actors: children that end, on any worker; the taker, one coroutine, which waits as a
/// waiter (runtime/wait/wait_list.hpp).
///   child ends: append its node; a taker waits? grant it
///   take:       a node there, or none to come? go on : wait
/// I1 A stopped take has taken nothing.

#include <weft/runtime/wait/wait_list.hpp>

#include <coroutine>
#include <cstddef>

namespace weft::detail {

class completed_wait;

class completed_queue {
public:
    /// A child's place in the queue.
    struct node {
        node* next = nullptr;
    };

    explicit completed_queue(std::size_t expected) noexcept : left_(expected) {}

    completed_queue(completed_queue const&) = delete;
    completed_queue& operator=(completed_queue const&) = delete;

    /// A child's thread, once for each child.
    void push(node& ended) noexcept;

    /// Taker. Null when nothing has ended that was not taken.
    [[nodiscard]] node* take() noexcept;

    /// Any thread: how many have not been taken yet.
    [[nodiscard]] std::size_t left() noexcept;

private:
    friend class completed_wait;

    /// Under lock_; the last outcome is that there are no more.
    [[nodiscard]] bool has_outcome() const noexcept { return first_ != nullptr || left_ == 0; }

    // --- any thread, under lock_ -------------------------------------------------
    wait_lock lock_;
    node* first_ = nullptr;
    node* last_ = nullptr;
    waiter_list takers_;  // one at most
    std::size_t left_;
};

/// Waits until take() gives a node, or none is left. Lives in the frame of the taker.
class completed_wait : public waiter {
public:
    explicit completed_wait(completed_queue& queue) noexcept;

    [[nodiscard]] bool is_ready() noexcept;

    /// Gives what runs next.
    [[nodiscard]] std::coroutine_handle<> start(promise_base& taker) noexcept;

private:
    static wait_rules const rules;

    [[nodiscard]] static bool admit(waiter& self) noexcept;

    completed_queue* queue_;
};

}  // namespace weft::detail
