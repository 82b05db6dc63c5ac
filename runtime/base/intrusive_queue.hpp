#pragma once

/// Singly linked FIFO of nodes that carry the link themselves. Not thread safe; owns nothing.

#include <weft/runtime/base/assert.hpp>

#include <utility>

namespace weft::detail {

template <auto Next>
class intrusive_queue;

template <class Node, Node* Node::* Next>
class intrusive_queue<Next> {
public:
    intrusive_queue() noexcept = default;

    intrusive_queue(intrusive_queue&& other) noexcept
        : first_(std::exchange(other.first_, nullptr))
        , last_(std::exchange(other.last_, nullptr)) {}

    intrusive_queue& operator=(intrusive_queue&& other) noexcept {
        WEFT_ASSERT(empty(), "a queue with nodes is overwritten");
        first_ = std::exchange(other.first_, nullptr);
        last_ = std::exchange(other.last_, nullptr);
        return *this;
    }

    ~intrusive_queue() { WEFT_ASSERT(empty(), "a queue with nodes is destroyed"); }

    [[nodiscard]] bool empty() const noexcept { return first_ == nullptr; }

    [[nodiscard]] Node* front() const noexcept { return first_; }

    void push_back(Node& node) noexcept {
        node.*Next = nullptr;
        (last_ != nullptr ? last_->*Next : first_) = &node;
        last_ = &node;
    }

    void push_front(Node& node) noexcept {
        node.*Next = first_;
        first_ = &node;
        if (last_ == nullptr) {
            last_ = &node;
        }
    }

    /// Null when empty.
    [[nodiscard]] Node* pop_front() noexcept {
        Node* const node = first_;
        if (node != nullptr) {
            first_ = node->*Next;
            if (first_ == nullptr) {
                last_ = nullptr;
            }
        }
        return node;
    }

    /// Moves all nodes of `other` behind ours.
    void append(intrusive_queue&& other) noexcept {
        if (other.first_ != nullptr) {
            (last_ != nullptr ? last_->*Next : first_) = other.first_;
            last_ = std::exchange(other.last_, nullptr);
            other.first_ = nullptr;
        }
    }

private:
    Node* first_ = nullptr;
    Node* last_ = nullptr;
};

}  // namespace weft::detail
