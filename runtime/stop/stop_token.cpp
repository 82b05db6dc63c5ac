#include <weft/runtime/stop/stop_token.hpp>

#include <weft/runtime/values/error.hpp>

#include <memory>

#include <sched.h>

namespace weft {

void stop_token::throw_cancelled() {
    throw operation_cancelled();
}

namespace detail {

namespace {

/// An address that differs between live threads; cheaper than a thread id and enough to recognise
/// oneself.
WEFT_NOINLINE std::uintptr_t this_thread_mark() noexcept {
    thread_local char mark = 0;
    return reinterpret_cast<std::uintptr_t>(&mark);
}

/// Spins a little, then gives the processor away: the holder may have been preempted.
class spin_wait {
public:
    void once() noexcept {
        if (++rounds_ < 64) {
            cpu_relax();
        } else {
            ::sched_yield();
        }
    }

private:
    unsigned rounds_ = 0;
};

}  // namespace

void stop_state::lock() noexcept {
    spin_wait wait;
    // relaxed: hint — the exchange below decides
    std::uint32_t word = word_.load(relaxed);
    for (;;) {
        if ((word & locked_bit) != 0) {
            wait.once();
            // relaxed: hint — as above
            word = word_.load(relaxed);
            continue;
        }
        // acquire: claim the lock and observe the list; pairs with unlock():publish. The loser
        // retries with what it saw (relaxed: hint).
        if (word_.compare_exchange_weak(word, word | locked_bit, acquire, relaxed)) {
            return;
        }
    }
}

void stop_state::unlock() noexcept {
    // release: publish the list; pairs with lock():claim. A read-modify-write, since `linked` may
    // be set meanwhile.
    word_.fetch_and(~locked_bit, release);
}

void stop_state::detach(stop_node& node) noexcept {
    *node.slot_ = node.next;
    if (node.next != nullptr) {
        static_cast<stop_node*>(node.next)->slot_ = node.slot_;
    }
    node.slot_ = nullptr;
}

/// Under the lock, which the winner gives back to run callbacks only.
void stop_state::mark_requested(stop_reason const& reason, firing& now) noexcept {
    reason_.value = reason;
    // release: publish the reason and what the requester wrote (I6); pairs with
    // stop_requested():observe
    word_.fetch_or(requested_bit | firing_bit, release);
    firing_ = firing_note(now);
}

/// Under the lock, with the link of a child detached. Gives the state whose callbacks are next, and
/// which is locked: the child, unless it was stopped before.
stop_state& stop_state::go_down(stop_node& link, firing& now) noexcept {
    stop_state& child = *static_cast<parent_link&>(link).child_;
    firing_ = firing_note(child);  // keeps I5
    unlock();
    child.lock();
    // relaxed: own — the bit is set under the lock only
    if ((child.word_.load(relaxed) & requested_bit) != 0) {
        child.unlock();
        lock();
        firing_ = firing_note(now);
        return *this;
    }
    child.mark_requested(reason_.value, now);
    return child;
}

/// Under the lock, which it gives back.
void stop_state::end_firing() noexcept {
    firing_ = firing_note();
    // release: hand back the lock and the state; pairs with lock():claim and the destructor
    word_.fetch_and(~(locked_bit | firing_bit), release);
}

/// Under the lock, with every callback run: to the parent, which is locked then, and waits in
/// go_down().
stop_state& stop_state::go_up(firing& now) noexcept {
    stop_state& parent = *parent_;
    end_firing();
    parent.lock();
    parent.firing_ = firing_note(now);  // the last use of the child (I5)
    return parent;
}

bool stop_state::request_stop(stop_reason const& reason, stop_state* follower) noexcept {
    lock();
    // relaxed: own — the bit is set under the lock only
    if ((word_.load(relaxed) & requested_bit) != 0) {
        unlock();
        return false;
    }
    firing now{nullptr, this_thread_mark()};
    mark_requested(reason ? reason : stop_reason(stop_kind::requested, reason.asked_at()), now);
    for (stop_state* state = this;;) {
        if (state->first_ == nullptr) {
            if (state == this) {
                break;
            }
            state = &state->go_up(now);
            continue;
        }
        stop_node& node = *static_cast<stop_node*>(state->first_);
        detach(node);
        if (node.notice == &parent_link::is_link) {
            state = &state->go_down(node, now);
            continue;
        }
        now.node = &node;
        state->unlock();
        node.notice(node);  // the node may be gone afterwards (I2)
        state->lock();
        now.node = nullptr;
    }
    if (follower != nullptr) {
        unlock();
        follower->request_stop(reason_.value);
        lock();
    }
    end_firing();
    return true;
}

void stop_state::parent_link::is_link(stop_node&) noexcept {
    WEFT_UNREACHABLE("the link of a stop state is called");
}

/// Under the lock: on another thread than this. A child is not destroyed by its own callbacks (I5).
bool stop_state::is_running(stop_node const& node) const noexcept {
    if (!firing_.is_set()) {
        return false;
    }
    firing const* const callback = firing_.callback();
    return callback == nullptr ? &firing_.child().link_.value == &node
                               : callback->node == &node && callback->thread != this_thread_mark();
}

bool stop_state::add_locked(stop_node& node) noexcept {
    // relaxed: own — the bit is set under the lock only
    if ((word_.load(relaxed) & requested_bit) != 0) {
        return false;
    }
    node.state_ = this;
    node.slot_ = &first_;
    node.next = first_;
    if (first_ != nullptr) {
        static_cast<stop_node*>(first_)->slot_ = &node.next;
    }
    first_ = &node;
    return true;
}

bool stop_state::add(stop_node& node) noexcept {
    link_upwards();
    lock();
    bool const added = add_locked(node);
    unlock();
    return added;
}

void stop_state::remove(stop_node& node) noexcept {
    lock();
    if (node.slot_ != nullptr) {
        detach(node);
        unlock();
        return;
    }
    spin_wait wait;
    while (is_running(node)) {
        unlock();
        wait.once();
        lock();
    }
    unlock();
}

void stop_state::await_requester() noexcept {
    // acquire: observe the winner's last access; pairs with end_firing():hand back. What told the
    // owner of the stop comes after the bit was set.
    if ((word_.load(acquire) & firing_bit) == 0) [[likely]] {
        return;
    }
    lock();
    WEFT_CHECK(firing_.callback() == nullptr || firing_.callback()->thread != this_thread_mark(),
               "what is being stopped is destroyed by one of its stop callbacks");
    spin_wait wait;
    while (firing_.is_set()) {
        unlock();
        wait.once();
        lock();
    }
    unlock();
}

void stop_state::link_upwards() noexcept {
    for (stop_state* state = this; state->parent_ != nullptr; state = state->parent_) {
        // acquire: observe an earlier link; pairs with the claim below
        if ((state->word_.load(acquire) & linked_bit) != 0) {
            return;  // whoever set the bit links, or has linked, the rest of the way
        }
        // acq_rel: claim the right to link; pairs with itself. The loser leaves the rest to the
        // winner: a stop that arrives meanwhile reaches this state as soon as the winner is through
        // (I3).
        if ((state->word_.fetch_or(linked_bit, acq_rel) & linked_bit) != 0) {
            return;
        }
        stop_node& node = *std::construct_at(&state->link_.value, *state);
        stop_state& parent = *state->parent_;
        parent.lock();
        bool const added = parent.add_locked(node);
        parent.unlock();
        if (!added) {
            state->request_stop(parent.reason_.value);  // published by its lock (I6)
            return;
        }
    }
}

/// Keeps I5: afterwards nobody refers to the state.
void stop_state::leave_others() noexcept {
    // relaxed: own — every registrant is gone, and the link is made by one
    if ((word_.load(relaxed) & linked_bit) != 0) {
        link_.value.withdraw();
        std::destroy_at(&link_.value);
    }
    await_requester();
}

bool stop_state::has_callbacks() noexcept {
    lock();
    bool const any = first_ != nullptr;
    unlock();
    return any;
}

bool stop_state::link_and_query() noexcept {
    link_upwards();
    // acquire: observe what the requester wrote; pairs with request_stop():publish
    return (word_.load(acquire) & requested_bit) != 0;
}

bool stop_node::enroll(stop_state* state) noexcept {
    WEFT_ASSERT(state_ == nullptr, "a stop callback is registered twice");
    if (state == nullptr) {
        return true;
    }
    return state->add(*this);
}

void stop_node::withdraw() noexcept {
    stop_state* const state = state_;
    if (state != nullptr) {
        state->remove(*this);
        state_ = nullptr;
    }
}

}  // namespace detail

}  // namespace weft
