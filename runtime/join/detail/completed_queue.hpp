#pragma once

/// What hands ended children to the one coroutine that asks for them, in the order in which they
/// ended.
///
/// Protocol. Actors: children that end, on any worker; the taker, one coroutine; whoever stops it.
///   child ends: lock → append its node → a taker? take it out → unlock → schedule it
///   take:       lock → a node there, or none to come? go on : enter as taker_; unlock
///   stop:       lock → still taker_? take it out → unlock → mark and schedule it
/// I1 A waiting taker is resumed by exactly one party: who took it out of taker_ under the lock.
/// I2 A stop registration is made before the taker enters, and withdrawn before it goes on or is
///    destroyed; a callback in between finds taker_ empty, or somebody else's.
/// I3 A stopped take has taken nothing. A node that is there wins over a stop.

#include <weft/runtime/base/mutex.hpp>
#include <weft/runtime/coro/promise.hpp>

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

    // --- any thread, under mutex_ ------------------------------------------------
    mutex mutex_;
    node* first_ = nullptr;
    node* last_ = nullptr;
    completed_wait* taker_ = nullptr;
    std::size_t left_;
};

/// Waits until take() gives a node, or none is left. Lives in the frame of the taker.
class completed_wait : private stop_node {
public:
    explicit completed_wait(completed_queue& queue) noexcept
        : stop_node(&on_stop)
        , queue_(&queue) {}

    completed_wait(completed_wait const&) = delete;
    completed_wait& operator=(completed_wait const&) = delete;

    ~completed_wait() { withdraw(); }

    [[nodiscard]] bool is_ready() noexcept;

    /// Gives what runs next.
    [[nodiscard]] std::coroutine_handle<> start(promise_base& taker) noexcept;

    /// After the wait, before anything is taken.
    void finish() noexcept { withdraw(); }

private:
    friend class completed_queue;

    enum class entry : unsigned char { waiting, ready, stopped };

    /// Under the queue's mutex; the last outcome is that there are no more.
    [[nodiscard]] bool has_outcome() const noexcept {
        return queue_->first_ != nullptr || queue_->left_ == 0;
    }

    [[nodiscard]] entry enter() noexcept;
    static void on_stop(stop_node& node) noexcept;

    completed_queue* queue_;
    promise_base* promise_ = nullptr;
    bool stopped_ = false;  // under the queue's mutex
};

}  // namespace weft::detail
