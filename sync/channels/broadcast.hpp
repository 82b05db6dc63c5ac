#pragma once

#include <weft/runtime/base/argument.hpp>
#include <weft/runtime/values/result.hpp>
#include <weft/sync/channels/detail/channel_half.hpp>
#include <weft/sync/wait/channel_operation.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <new>
#include <optional>
#include <type_traits>
#include <utility>

namespace weft {

namespace detail {

/// The last values that were sent, by their number.
///
/// Protocol, in addition to channel_core's: a receiver that waits has read everything. It is woken
/// without a value and takes it from the ring when it runs, so that the copy is made by the
/// receiver, not by the sender under the lock. Nobody else moves its position, so there is a value
/// for it then: the one it was woken for, or, had the ring gone round meanwhile, the oldest that is
/// left.
template <class T>
class broadcast_state : public channel_core {
    static_assert(std::copy_constructible<T>, "every receiver gets a copy: share what cannot be");
    static_assert(std::is_nothrow_move_constructible_v<T>,
                  "a broadcast moves values around: put one whose move throws behind a pointer");

public:
    using value_type = T;

    /// `kind` names it in messages.
    broadcast_state(std::size_t capacity, char const* kind)
        : kind_(kind)
        , capacity_(capacity)
        , slots_(new std::optional<T>[checked(capacity)]) {}

    ~broadcast_state() {
        if (subscribers_ != 0) [[unlikely]] {
            die_in_use(kind_, "is subscribed");
        }
        require_nobody_waits(kind_);
        delete[] slots_;
    }

    [[nodiscard]] hand_over push(T&& value) noexcept {
        std::optional<T> overwritten;  // destroyed without the lock
        waking_guard guard(*this);
        if (closed_) {
            return hand_over::closed;
        }
        std::optional<T>& slot = slots_[next_ % capacity_];
        if (slot.has_value()) {
            overwritten.emplace(static_cast<T&&>(*slot));
        }
        slot.emplace(static_cast<T&&>(value));
        ++next_;
        while (channel_waiter* const each = claim_front(receivers_)) {
            each->commit(hand_over::done, guard.woken);
        }
        return hand_over::done;
    }

    /// Under the lock.
    [[nodiscard]] hand_over read(std::uint64_t& position,
                                 std::uint64_t& missed,
                                 std::optional<T>& target) {
        if (position == next_) {
            return closed_ ? hand_over::closed : hand_over::pending;
        }
        if (next_ - position > capacity_) {
            missed += next_ - capacity_ - position;
            position = next_ - capacity_;
        }
        target.emplace(*slots_[position % capacity_]);
        ++position;
        return hand_over::done;
    }

    /// Gives the position from which the receiver reads: `back` values before the end.
    [[nodiscard]] std::uint64_t subscribe(std::uint64_t back) noexcept {
        brief_guard const guard(lock_);
        ++subscribers_;
        return next_ - back;
    }

    void unsubscribe() noexcept {
        brief_guard const guard(lock_);
        --subscribers_;
    }

    void share_subscription() noexcept { (void)subscribe(0); }

    [[nodiscard]] std::size_t subscriber_count() const noexcept {
        brief_guard const guard(lock_);
        return subscribers_;
    }

    [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }

    /// Requires: a value was sent.
    [[nodiscard]] T latest() const {
        brief_guard const guard(lock_);
        return *slots_[(next_ - 1) % capacity_];
    }

private:
    [[nodiscard]] static std::size_t checked(std::size_t capacity) {
        if (capacity > ~std::size_t{0} / sizeof(std::optional<T>)) {
            throw std::bad_array_new_length();
        }
        return capacity;
    }

    // --- constant after construction -------------------------------------------
    char const* kind_;
    std::size_t capacity_;

    // --- any thread, under lock_ ----------------------------------------------------
    std::optional<T>* slots_;
    std::uint64_t next_ = 0;  // the number of the next value
    std::size_t subscribers_ = 0;
};

}  // namespace detail

/// A receiver of a broadcast or of a watch, with its own place in the stream of values.
///
/// Thread safety: one thread at a time, and one `recv` at a time; other receivers, and senders, may
///     be used at the same time.
/// Cancellation: a cancelled `recv` has taken nothing; if a stop races with a value, the value is
///     delivered.
/// Lifetime: must not outlive its broadcast, and must outlive its own operations.
/// Resumption: through the waiter's own scheduler, never inline in `send`.
/// Complexity: O(1) plus one short lock, and a copy of the value.
/// Errors: what the copy throws; then the value has not been received and the next `recv` gives it.
/// Example: examples/chat.cpp
template <class T>
class broadcast_receiver {
    using state_type = detail::broadcast_state<T>;

public:
    using value_type = T;

    /// Empty: may only be assigned to and destroyed.
    broadcast_receiver() noexcept = default;

    broadcast_receiver(state_type& from, std::uint64_t position) noexcept
        : state_(&from)
        , position_(position) {}

    broadcast_receiver(broadcast_receiver&& other) noexcept
        : state_(std::exchange(other.state_, nullptr))
        , position_(other.position_)
        , missed_(other.missed_) {}

    broadcast_receiver& operator=(broadcast_receiver&& other) noexcept {
        if (this != &other) {
            leave();
            state_ = std::exchange(other.state_, nullptr);
            position_ = other.position_;
            missed_ = other.missed_;
        }
        return *this;
    }

    ~broadcast_receiver() { leave(); }

    /// Another receiver, which reads on from where this one is.
    [[nodiscard]] broadcast_receiver fork() const noexcept {
        state().share_subscription();
        broadcast_receiver other(state(), position_);
        other.missed_ = missed_;
        return other;
    }

    /// Waits for the next value; gives an empty optional when the broadcast is closed and
    /// everything has been read. Where values were overwritten before they were read, goes on with
    /// the oldest that is left, and missed() grows.
    [[nodiscard]] recv_operation<broadcast_receiver> recv() noexcept {
        WEFT_CHECK(state_ != nullptr, "an empty receiver of a broadcast is used");
        return recv_operation<broadcast_receiver>(*this);
    }

    /// The next value if there is one; else errc::closed or
    /// std::errc::resource_unavailable_try_again.
    [[nodiscard]] result<T> try_recv() {
        std::optional<T> value;
        detail::hand_over const outcome = recv_now(value);
        if (outcome != detail::hand_over::done) {
            return detail::recv_failure(outcome);
        }
        return std::move(*value);
    }

    /// For threads that are not workers of a runtime: blocks the thread.
    [[nodiscard]] std::optional<T> recv_blocking() { return recv().block(); }

    /// How many values were overwritten before this receiver read them.
    [[nodiscard]] std::uint64_t missed() const noexcept { return missed_; }

    /// The same, counted anew from now on.
    [[nodiscard]] std::uint64_t take_missed() noexcept { return std::exchange(missed_, 0); }

private:
    template <class, bool>
    friend class recv_operation;

    [[nodiscard]] state_type& state() const noexcept {
        WEFT_CHECK(state_ != nullptr, "an empty receiver of a broadcast is used");
        return *state_;
    }

    void leave() noexcept {
        if (state_ != nullptr) {
            state_->unsubscribe();
        }
    }

    // What recv_operation asks of its source.
    [[nodiscard]] detail::channel_core& core() noexcept { return *state_; }

    [[nodiscard]] detail::hand_over recv_now(std::optional<T>& target) {
        detail::brief_guard const guard(state().lock_);
        return state_->read(position_, missed_, target);
    }

    [[nodiscard]] detail::hand_over pop(std::optional<T>& target, detail::wake_chain&) {
        return state_->read(position_, missed_, target);
    }

    void take_after_waking(std::optional<T>& target) {
        detail::brief_guard const guard(state_->lock_);
        (void)state_->read(position_, missed_, target);
    }

    state_type* state_ = nullptr;
    std::uint64_t position_ = 0;
    std::uint64_t missed_ = 0;
};

/// Gives every value to every receiver, and keeps the last `capacity` values for those that are
/// slow. Sending never waits: a receiver that is further behind misses values and is told how many.
///
/// Thread safety: every member may be called from any thread at the same time, except the
///     destructor.
/// Cancellation: sending never suspends.
/// Lifetime: must outlive its receivers and their operations; else it aborts.
/// Complexity: `send` is O(receivers that wait) plus one short lock; values are copied once for
///     each receiver, by the receiver, under the lock, so that large ones are better shared.
/// Errors: `send` fails with errc::closed after `close`, and leaves its argument untouched.
/// Example: examples/chat.cpp
template <class T>
class broadcast {
public:
    using value_type = T;

    /// Throws std::invalid_argument for a capacity of 0.
    explicit broadcast(std::size_t capacity) : state_(at_least_one(capacity), "a broadcast") {}

    broadcast(broadcast const&) = delete;
    broadcast& operator=(broadcast const&) = delete;

    /// Never waits.
    result<void> send(T&& value) { return detail::send_result(state_.push(std::move(value))); }

    result<void> send(T const& value) { return detail::send_result(state_.push(T(value))); }

    /// A receiver of everything that is sent from now on.
    [[nodiscard]] broadcast_receiver<T> subscribe() noexcept {
        return broadcast_receiver<T>(state_, state_.subscribe(0));
    }

    /// Receivers get what they have not read yet, and then nothing. False when it was closed
    /// before.
    bool close() noexcept { return state_.close(); }

    [[nodiscard]] bool is_closed() const noexcept { return state_.is_closed(); }

    [[nodiscard]] std::size_t capacity() const noexcept { return state_.capacity(); }

    [[nodiscard]] std::size_t receiver_count() const noexcept { return state_.subscriber_count(); }

private:
    static std::size_t at_least_one(std::size_t capacity) {
        detail::check_argument(capacity != 0, "a broadcast without capacity could deliver nothing");
        return capacity;
    }

    detail::broadcast_state<T> state_;
};

}  // namespace weft
