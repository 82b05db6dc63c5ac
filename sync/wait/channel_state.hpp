#pragma once

/// The typed half of a channel: how a value gets from its sender into the buffer or to a receiver.
///
/// Outcomes of a step, under the lock: done (with somebody to wake, perhaps), closed, full (nothing
/// was done; a policy may turn that into something else), pending (nothing was done; wait).
/// An exception of the value's move or copy leaves the channel as it was and is the active party's;
/// where an idle sender's value cannot follow into a slot that became free, it is that sender's.

#include <weft/sync/wait/channel_core.hpp>

#include <concepts>
#include <cstddef>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

namespace weft {

/// What happens to a value for which a channel has no room.
enum class full_policy : unsigned char {
    wait,         ///< `send` waits for room
    drop_oldest,  ///< the value that has waited longest makes room, even for one whose move throws
    drop_newest,  ///< the new value is dropped
    fail,         ///< `send` fails with std::errc::resource_unavailable_try_again
};

namespace detail {

/// How a select reaches into an operation.
struct channel_access {
    /// Once: what the operation waits in.
    template <class Operation>
    [[nodiscard]] static channel_waiter& prepare(Operation& operation) noexcept {
        return operation.prepare_to_wait();
    }
};

/// The sender's object: moved from or copied when, and only when, it is sent.
template <class T>
class value_ref {
public:
    explicit value_ref(T&& source) noexcept : source_(&source), is_copied_(false) {}

    explicit value_ref(T const& source) noexcept
        : source_(const_cast<T*>(&source))  // only read: is_copied_
        , is_copied_(true) {}

    template <class Put>
    WEFT_ALWAYS_INLINE void give(Put&& put) const {
        if constexpr (std::copy_constructible<T>) {
            if (is_copied_) {
                put(static_cast<T const&>(*source_));
                return;
            }
        }
        put(static_cast<T&&>(*source_));
    }

private:
    T* source_;
    bool is_copied_;
};

/// A receiver in a list. `value` is the place for its value, in its operation.
template <class T>
class receiver_wait : public channel_wait {
public:
    std::optional<T>& value;

protected:
    receiver_wait(channel_core& owner,
                  std::optional<T>& target,
                  attempt_function try_locked) noexcept
        : channel_wait(owner, owner.receivers_, try_locked)
        , value(target) {}

    ~receiver_wait() = default;
};

/// A sender in a list, with its value.
template <class T>
class sender_wait : public channel_wait {
public:
    value_ref<T> value;

protected:
    sender_wait(channel_core& owner, value_ref<T> source, attempt_function try_locked) noexcept
        : channel_wait(owner, owner.senders_, try_locked)
        , value(source) {}

    ~sender_wait() = default;
};

/// Holds a channel's lock, and wakes after it is given back.
class waking_guard {
public:
    struct held_lock {};

    static constexpr held_lock held{};

    explicit waking_guard(channel_core& core) noexcept : core_(core) { core_.lock_.lock(); }

    waking_guard(channel_core& core, held_lock) noexcept : core_(core) {}

    waking_guard(waking_guard const&) = delete;
    waking_guard& operator=(waking_guard const&) = delete;

    ~waking_guard() {
        core_.lock_.unlock();
        woken.wake_all();
    }

    wake_chain woken;

private:
    channel_core& core_;
};

template <class T, class Buffer>
class channel_state : public channel_core {
public:
    using value_type = T;

    template <class... Arguments>
    explicit channel_state(full_policy policy, Arguments&&... arguments)
        : buffer_(static_cast<Arguments&&>(arguments)...)
        , policy_(policy) {}

    ~channel_state() { require_nobody_waits(Buffer::channel_name); }

    [[nodiscard]] channel_core& core() noexcept { return *this; }

    // --- any thread ----------------------------------------------------------------

    /// `dropped` gets the value that a policy drops, to be destroyed without the lock.
    [[nodiscard]] WEFT_ALWAYS_INLINE hand_over send_now(value_ref<T> value,
                                                        std::optional<T>& dropped) {
        lock_.lock();
        if (!closed_ && receivers_.empty() && buffer_.has_room()) [[likely]] {
            held_guard const guard(lock_);
            put(value);
            return hand_over::done;
        }
        return send_with_others(value, dropped);
    }

    [[nodiscard]] WEFT_ALWAYS_INLINE hand_over recv_now(std::optional<T>& target) {
        lock_.lock();
        if (senders_.empty() && !buffer_.empty()) [[likely]] {
            held_guard const guard(lock_);
            take_front(target);
            return hand_over::done;
        }
        return recv_with_others(target);
    }

    // --- under lock_ ---------------------------------------------------------------

    /// `dropped` gets the value that a policy drops, to be destroyed without the lock.
    [[nodiscard]] hand_over push(value_ref<T> value, wake_chain& woken, std::optional<T>& dropped) {
        if (closed_) [[unlikely]] {
            return hand_over::closed;
        }
        if (!receivers_.empty() && give_to_receiver(value, woken)) {
            return hand_over::done;
        }
        if (!buffer_.has_room()) [[unlikely]] {
            return push_full(value, dropped);
        }
        put(value);
        return hand_over::done;
    }

    [[nodiscard]] hand_over pop(std::optional<T>& target, wake_chain& woken) {
        if (!buffer_.empty()) [[likely]] {
            take_front(target);
            if (!senders_.empty()) [[unlikely]] {
                refill(woken);
            }
            return hand_over::done;
        }
        if (!senders_.empty() && take_from_sender(target, woken)) {
            return hand_over::done;
        }
        return closed_ ? hand_over::closed : hand_over::pending;
    }

    // --- any thread ----------------------------------------------------------------

    [[nodiscard]] std::size_t size() const noexcept {
        brief_guard const guard(lock_);
        return buffer_.size();
    }

    [[nodiscard]] std::size_t high_water() const noexcept {
        brief_guard const guard(lock_);
        return high_water_;
    }

    [[nodiscard]] std::size_t dropped_count() const noexcept {
        brief_guard const guard(lock_);
        return dropped_count_;
    }

    [[nodiscard]] std::size_t capacity() const noexcept { return buffer_.capacity(); }

    /// The last sender goes.
    void leave_senders() noexcept {
        require_nobody_waits(Buffer::channel_name, senders_);
        close();
    }

    /// The last receiver goes.
    void leave_receivers() noexcept {
        require_nobody_waits(Buffer::channel_name, receivers_);
        close_and_discard();
    }

    /// Nobody will receive: closes, and destroys what is buffered.
    void close_and_discard() noexcept {
        close();
        for (;;) {
            std::optional<T> discarded;  // destroyed without the lock
            brief_guard const guard(lock_);
            if (buffer_.empty()) {
                return;
            }
            discard_front(discarded);
        }
    }

private:
    /// Somebody is concerned, or nothing can be done now. The lock is held, and is given back.
    [[nodiscard]] WEFT_NOINLINE hand_over send_with_others(value_ref<T> value,
                                                           std::optional<T>& dropped) {
        waking_guard guard(*this, waking_guard::held);
        return push(value, guard.woken, dropped);
    }

    [[nodiscard]] WEFT_NOINLINE hand_over recv_with_others(std::optional<T>& target) {
        waking_guard guard(*this, waking_guard::held);
        return pop(target, guard.woken);
    }

    WEFT_ALWAYS_INLINE void put(value_ref<T> value) {
        value.give([this](auto&& each) { buffer_.push(static_cast<decltype(each)>(each)); });
        if (buffer_.size() > high_water_) {
            high_water_ = buffer_.size();
        }
    }

    WEFT_ALWAYS_INLINE void take_front(std::optional<T>& target) {
        target.emplace(static_cast<T&&>(buffer_.front()));
        buffer_.pop_front();
    }

    [[nodiscard]] bool give_to_receiver(value_ref<T> value, wake_chain& woken) {
        auto* const receiver = static_cast<receiver_wait<T>*>(claim_front(receivers_));
        if (receiver == nullptr) {
            return false;
        }
        roll_back_guard undo(*receiver);
        value.give([receiver](auto&& each) {
            receiver->value.emplace(static_cast<decltype(each)>(each));
        });
        undo.dismiss();
        receiver->commit(hand_over::done, woken);
        return true;
    }

    [[nodiscard]] bool take_from_sender(std::optional<T>& target, wake_chain& woken) {
        auto* const sender = static_cast<sender_wait<T>*>(claim_front(senders_));
        if (sender == nullptr) {
            return false;
        }
        roll_back_guard undo(*sender);
        sender->value.give(
            [&target](auto&& each) { target.emplace(static_cast<decltype(each)>(each)); });
        undo.dismiss();
        sender->commit(hand_over::done, woken);
        return true;
    }

    /// keeps I1: a slot became free.
    void refill(wake_chain& woken) noexcept {
        while (buffer_.has_room()) {
            auto* const sender = static_cast<sender_wait<T>*>(claim_front(senders_));
            if (sender == nullptr) {
                return;
            }
            hand_over outcome = hand_over::done;
            try {
                put(sender->value);
            } catch (...) {
                sender->error = std::current_exception();
                outcome = hand_over::failed;
            }
            sender->commit(outcome, woken);
        }
    }

    [[nodiscard]] hand_over push_full(value_ref<T> value, std::optional<T>& dropped) {
        switch (policy_) {
            case full_policy::wait:
                return hand_over::pending;
            case full_policy::fail:
                return hand_over::full;
            case full_policy::drop_newest:
                value.give([&dropped](auto&& each) {
                    dropped.emplace(static_cast<decltype(each)>(each));
                });
                break;
            case full_policy::drop_oldest:
                value.give([this, &dropped](auto&& each) {
                    this->replace_oldest(static_cast<decltype(each)>(each), dropped);
                });
                return hand_over::done;
        }
        ++dropped_count_;
        return hand_over::done;
    }

    /// Copies first, where the copy can follow without a throw: nothing is dropped for one that
    /// fails.
    template <class U>
    void replace_oldest(U&& value, std::optional<T>& dropped) {
        if constexpr (std::is_lvalue_reference_v<U> && std::is_nothrow_move_constructible_v<T>) {
            T copy(value);
            replace_oldest(std::move(copy), dropped);
        } else {
            take_front(dropped);
            ++dropped_count_;
            buffer_.push(static_cast<U&&>(value));
        }
    }

    void discard_front(std::optional<T>& discarded) noexcept {
        try {
            discarded.emplace(static_cast<T&&>(buffer_.front()));
        } catch (...) {
            discarded.reset();  // destroyed in its place instead
        }
        buffer_.pop_front();
    }

    /// Gives a claim back if the hand-over throws.
    class roll_back_guard {
    public:
        explicit roll_back_guard(channel_waiter& claimed) noexcept : claimed_(&claimed) {}

        roll_back_guard(roll_back_guard const&) = delete;
        roll_back_guard& operator=(roll_back_guard const&) = delete;

        ~roll_back_guard() {
            if (claimed_ != nullptr) {
                claimed_->roll_back();
            }
        }

        void dismiss() noexcept { claimed_ = nullptr; }

    private:
        channel_waiter* claimed_;
    };

    // --- any thread, under lock_ ----------------------------------------------------
    Buffer buffer_;
    std::size_t high_water_ = 0;
    std::size_t dropped_count_ = 0;

    // --- constant after construction -------------------------------------------
    full_policy policy_;
};

}  // namespace detail

}  // namespace weft
