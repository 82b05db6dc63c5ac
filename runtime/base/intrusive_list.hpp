#pragma once

/// Doubly linked list of nodes that carry the links themselves. Not thread safe; owns nothing. A
/// node can leave its list without knowing which list it is in.

#include <weft/runtime/base/assert.hpp>

namespace weft::detail {

struct default_list_tag;

template <class T, class Tag>
class intrusive_list;

/// Base of nodes. `Tag` tells several hooks of one node apart.
template <class T, class Tag = default_list_tag>
class intrusive_list_hook {
public:
    intrusive_list_hook(intrusive_list_hook const&) = delete;
    intrusive_list_hook& operator=(intrusive_list_hook const&) = delete;

    [[nodiscard]] bool is_linked() const noexcept { return next_ != nullptr; }

    /// Requires: linked.
    void unlink() noexcept {
        WEFT_ASSERT(is_linked() && previous_ != nullptr, "a node that is in no list is unlinked");
        previous_->next_ = next_;
        next_->previous_ = previous_;
        next_ = nullptr;
        previous_ = nullptr;
    }

protected:
    intrusive_list_hook() noexcept = default;

    ~intrusive_list_hook() { WEFT_ASSERT(!is_linked(), "a node is destroyed while in a list"); }

private:
    friend class intrusive_list<T, Tag>;

    intrusive_list_hook* next_ = nullptr;
    intrusive_list_hook* previous_ = nullptr;
};

template <class T, class Tag = default_list_tag>
class intrusive_list {
    using hook = intrusive_list_hook<T, Tag>;

public:
    intrusive_list() noexcept { reset(); }

    intrusive_list(intrusive_list const&) = delete;
    intrusive_list& operator=(intrusive_list const&) = delete;

    ~intrusive_list() {
        WEFT_ASSERT(empty(), "a list with nodes is destroyed");
        reset_hook(end_);
    }

    [[nodiscard]] bool empty() const noexcept { return end_.next_ == &end_; }

    /// Null when empty.
    [[nodiscard]] T* front() noexcept { return empty() ? nullptr : static_cast<T*>(end_.next_); }

    void push_back(T& node) noexcept { insert_before(end_, node); }

    void push_front(T& node) noexcept { insert_before(*end_.next_, node); }

    /// Null when empty.
    T* pop_front() noexcept {
        T* const node = front();
        if (node != nullptr) {
            static_cast<hook*>(node)->unlink();
        }
        return node;
    }

    /// Moves all nodes of `other` behind ours.
    void splice_back(intrusive_list& other) noexcept {
        if (other.empty()) {
            return;
        }
        hook* const first = other.end_.next_;
        hook* const last = other.end_.previous_;
        other.reset();
        first->previous_ = end_.previous_;
        end_.previous_->next_ = first;
        last->next_ = &end_;
        end_.previous_ = last;
    }

    /// The node behind `node`, or null.
    [[nodiscard]] T* after(T& node) noexcept {
        hook* const next = static_cast<hook&>(node).next_;
        return next == &end_ ? nullptr : static_cast<T*>(next);
    }

private:
    struct sentinel : hook {};

    void reset() noexcept {
        end_.next_ = &end_;
        end_.previous_ = &end_;
    }

    static void reset_hook(hook& end) noexcept {
        end.next_ = nullptr;
        end.previous_ = nullptr;
    }

    void insert_before(hook& place, T& node) noexcept {
        hook& inserted = node;
        WEFT_ASSERT(!inserted.is_linked(), "a node is put into two lists");
        inserted.previous_ = place.previous_;
        inserted.next_ = &place;
        place.previous_->next_ = &inserted;
        place.previous_ = &inserted;
    }

    sentinel end_;
};

}  // namespace weft::detail
