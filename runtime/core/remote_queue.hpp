#pragma once

/// Stack of nodes that any thread pushes to and one thread empties at once.
///
/// Protocol: head_ points at the newest node. push: CAS head_ old → node, node.next = old.
/// take_all: exchange head_ with null and reverse, so that the consumer sees the nodes in the order
/// of their pushes.
/// I1 A node belongs to the queue from the push until take_all returns it; there is no ABA, because
///    nodes are never taken one by one.

#include <weft/runtime/base/atomic.hpp>
#include <weft/runtime/base/intrusive_queue.hpp>

namespace weft::detail {

template <auto Next>
class remote_queue;

template <class Node, Node* Node::* Next>
class remote_queue<Next> {
public:
    remote_queue() noexcept = default;
    remote_queue(remote_queue const&) = delete;
    remote_queue& operator=(remote_queue const&) = delete;

    /// Any thread.
    void push(Node& node) noexcept {
        // relaxed: hint — the CAS below decides
        Node* head = head_.load(relaxed);
        do {
            node.*Next = head;
            // release: publish the node; pairs with take_all():observe. The loser (relaxed: hint)
            // retries with the head that it saw.
        } while (!head_.compare_exchange_weak(head, &node, release, relaxed));
    }

    /// Consumer. The nodes pushed so far, oldest first.
    [[nodiscard]] intrusive_queue<Next> take_all() noexcept {
        intrusive_queue<Next> nodes;
        // relaxed: hint — a push that is missed here is announced by its wake-up
        if (head_.load(relaxed) == nullptr) {
            return nodes;
        }
        // acquire: observe the nodes; pairs with push():publish
        Node* node = head_.exchange(nullptr, acquire);
        while (node != nullptr) {
            Node* const older = node->*Next;
            nodes.push_front(*node);
            node = older;
        }
        return nodes;
    }

    /// Any thread; may be stale.
    [[nodiscard]] bool looks_empty() const noexcept {
        // relaxed: hint — see take_all()
        return head_.load(relaxed) == nullptr;
    }

private:
    // --- any thread, atomic (see Protocol) ---------------------------------------
    /// Written by producers and by the consumer.
    atomic<Node*> head_{nullptr};
};

}  // namespace weft::detail
