#pragma once

/// Global FIFO of work that comes from foreign threads. Unbounded: its nodes carry the links. A
/// mutex, because workers take it once per batch and never on their hot path.

#include <weft/runtime/base/atomic.hpp>
#include <weft/runtime/base/intrusive_queue.hpp>
#include <weft/runtime/base/mutex.hpp>

#include <cstddef>

namespace weft::detail {

template <auto Next>
class inject_queue;

template <class Node, Node* Node::* Next>
class inject_queue<Next> {
public:
    using chain = intrusive_queue<Next>;

    inject_queue() noexcept = default;
    inject_queue(inject_queue const&) = delete;
    inject_queue& operator=(inject_queue const&) = delete;

    /// Any thread.
    void push(Node& node) noexcept {
        scoped_lock const lock(mutex_);
        nodes_.push_back(node);
        // relaxed: own — written under the mutex; readers take it as a hint or are ordered by
        // fences
        size_.store(size_.load(relaxed) + 1, relaxed);
    }

    /// Any thread. The oldest nodes, at most `limit`.
    [[nodiscard]] chain pop_batch(std::size_t limit) noexcept {
        chain batch;
        scoped_lock const lock(mutex_);
        std::size_t count = 0;
        for (; count < limit && !nodes_.empty(); ++count) {
            batch.push_back(*nodes_.pop_front());
        }
        // relaxed: own — written under the mutex; readers take it as a hint
        size_.store(size_.load(relaxed) - count, relaxed);
        return batch;
    }

    /// Any thread. May be stale unless the caller is ordered with the pushes by fences.
    [[nodiscard]] std::size_t size_hint() const noexcept {
        // relaxed: hint — see above
        return size_.load(relaxed);
    }

    [[nodiscard]] bool looks_empty() const noexcept { return size_hint() == 0; }

private:
    // --- any thread, under mutex_ ------------------------------------------------
    mutex mutex_;
    chain nodes_;

    // --- written under mutex_, read by any thread ----------------------------------
    /// Written by whoever holds the mutex, read as a hint.
    atomic<std::size_t> size_{0};
};

}  // namespace weft::detail
