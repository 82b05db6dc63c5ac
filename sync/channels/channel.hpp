#pragma once

#include <weft/runtime/base/argument.hpp>
#include <weft/runtime/task/task.hpp>
#include <weft/sync/channels/detail/channel_buffer.hpp>
#include <weft/sync/channels/detail/channel_half.hpp>
#include <weft/sync/wait/channel_operation.hpp>

#include <concepts>
#include <cstddef>
#include <optional>
#include <utility>

namespace weft {

/// What every kind of queueing channel can do.
///
/// Thread safety: every member may be called from any thread at the same time, except the
///     destructor.
/// Cancellation: a cancelled `send` leaves its argument with the caller, unmoved; a cancelled recv
///     has taken nothing. If a stop races with success, success wins: the value is delivered and
///     the next await stops.
/// Lifetime: must outlive every operation on it; destroying a channel in which somebody waits
///     aborts. An operation refers to the channel and to the argument of `send`, so it must be
///     awaited in the expression that made it.
/// Resumption: a waiter goes on through its own scheduler, never inline in the caller of `send`,
///     `recv` or `close`. What completes at once does not suspend, but every 64th time, so that
///     others get their turn.
/// Complexity: O(1) plus one short lock; nothing is allocated per operation.
/// Errors: a failed `send` (errc::closed; std::errc::resource_unavailable_try_again under
///     full_policy::fail) has not touched its argument; one that succeeded has consumed it. An
///     exception of the value's move is thrown by the operation that was moving; the channel is as
///     it was, and no value is lost but one whose move out of a `recv` that had it already throws.
///     The value's move must not use the channel.
template <class State>
class basic_channel {
public:
    using value_type = typename State::value_type;

    basic_channel(basic_channel const&) = delete;
    basic_channel& operator=(basic_channel const&) = delete;

    /// Waits until there is room, or a receiver, and moves from `value` then.
    [[nodiscard]] send_operation<State> send(value_type&& value) noexcept {
        return send_operation<State>(state_, detail::value_ref<value_type>(std::move(value)));
    }

    /// The same with a copy, made when the value is sent.
    [[nodiscard]] send_operation<State> send(value_type const& value) noexcept
        requires std::copy_constructible<value_type>
    {
        return send_operation<State>(state_, detail::value_ref<value_type>(value));
    }

    /// Waits for the next value; gives an empty optional when the channel is closed and empty.
    [[nodiscard]] recv_operation<State> recv() noexcept { return recv_operation<State>(state_); }

    /// Sends if that needs no waiting; else fails with errc::closed or
    /// std::errc::resource_unavailable_try_again and leaves `value` untouched.
    result<void> try_send(value_type&& value) {
        return try_send(detail::value_ref<value_type>(std::move(value)));
    }

    result<void> try_send(value_type const& value)
        requires std::copy_constructible<value_type>
    {
        return try_send(detail::value_ref<value_type>(value));
    }

    /// The next value if there is one; else errc::closed or
    /// std::errc::resource_unavailable_try_again.
    [[nodiscard]] result<value_type> try_recv() {
        std::optional<value_type> value;
        detail::hand_over const outcome = state_.recv_now(value);
        if (outcome != detail::hand_over::done) {
            return detail::recv_failure(outcome);
        }
        return std::move(*value);
    }

    /// Sends everything from `next` up to `last`, in order, many under one lock. `next` moves past
    /// each value that is sent, so that it tells what is left when the channel is closed (throws
    /// like `send`) or the task is stopped. The iterators must outlive the await.
    template <class Iterator>
    [[nodiscard]] task<> send_many(Iterator& next, Iterator last) {
        while (next != last) {
            send_some(next, last);
            if (next != last) {
                co_await send(std::move(*next));
                ++next;
            }
        }
    }

    /// Waits for a value, then takes what else is there, up to `limit` values but no more than fit
    /// under one lock, and appends them to `target`. Gives their number: 0 when the channel is
    /// closed and empty. `target` (a std::vector, say) must outlive the await.
    template <class Container>
        requires requires(Container& c, value_type&& v) {
            c.reserve(c.size()), c.push_back(std::move(v));
        }
    [[nodiscard]] task<std::size_t> recv_many(Container& target, std::size_t limit) {
        std::size_t const before = target.size();
        std::size_t const most = limit <= values_per_lock ? limit : 1 + values_per_lock;
        make_room(target, most);  // nothing that was taken may fail to be stored
        if (most != 0) {
            std::optional<value_type> first = co_await recv();
            if (first.has_value()) {
                target.push_back(std::move(*first));
                recv_some(target, before + most);
            }
        }
        co_return target.size() - before;
    }

    /// For threads that are not workers of a runtime: blocks the thread. Throws like `send`.
    void send_blocking(value_type&& value) { send(std::move(value)).block(); }

    void send_blocking(value_type const& value)
        requires std::copy_constructible<value_type>
    {
        send(value).block();
    }

    /// For threads that are not workers of a runtime: blocks the thread.
    [[nodiscard]] std::optional<value_type> recv_blocking() { return recv().block(); }

    /// Ends the channel: later sends fail, waiting ones too, and receivers get what is buffered and
    /// then nothing. False when it was closed before.
    bool close() noexcept { return state_.close(); }

    [[nodiscard]] bool is_closed() const noexcept { return state_.is_closed(); }

    /// How many values are buffered now.
    [[nodiscard]] std::size_t size() const noexcept { return state_.size(); }

    [[nodiscard]] bool empty() const noexcept { return size() == 0; }

    [[nodiscard]] std::size_t capacity() const noexcept { return state_.capacity(); }

    /// The most values that were ever buffered at once.
    [[nodiscard]] std::size_t high_water() const noexcept { return state_.high_water(); }

    /// How many values a full_policy has dropped.
    [[nodiscard]] std::size_t dropped_count() const noexcept { return state_.dropped_count(); }

    /// Closes, and destroys what is buffered: nobody will receive it.
    void close_and_discard() noexcept { state_.close_and_discard(); }

    /// For the halves: the last sender goes, or the last receiver. Aborts if it waits.
    void leave_senders() noexcept { state_.leave_senders(); }

    void leave_receivers() noexcept { state_.leave_receivers(); }

protected:
    template <class... Arguments>
    explicit basic_channel(full_policy policy, Arguments&&... arguments)
        : state_(policy, static_cast<Arguments&&>(arguments)...) {}

    ~basic_channel() = default;

private:
    static constexpr std::size_t values_per_lock = 64;

    result<void> try_send(detail::value_ref<value_type> value) {
        std::optional<value_type> dropped;  // destroyed without the lock
        detail::hand_over const outcome = state_.send_now(value, dropped);
        if (outcome != detail::hand_over::done) [[unlikely]] {
            return detail::send_result(outcome);
        }
        return {};
    }

    template <class Iterator>
    void send_some(Iterator& next, Iterator const& last) {
        std::optional<value_type> dropped;
        detail::waking_guard guard(state_);
        for (std::size_t i = 0; i != values_per_lock && next != last && !dropped; ++i, ++next) {
            if (state_.push(detail::value_ref<value_type>(std::move(*next)),
                            guard.woken,
                            dropped) != detail::hand_over::done) {
                return;
            }
        }
    }

    /// Grows like push_back, where the container tells its capacity.
    template <class Container>
    static void make_room(Container& target, std::size_t count) {
        std::size_t const size = target.size() + count;
        if constexpr (requires { target.capacity(); }) {
            std::size_t const room = target.capacity();
            if (room < size) {
                target.reserve(size < 2 * room ? 2 * room : size);
            }
        } else {
            target.reserve(size);
        }
    }

    template <class Container>
    void recv_some(Container& target, std::size_t size_wanted) {
        std::optional<value_type> value;  // one whose move throws is destroyed without the lock
        detail::waking_guard guard(state_);
        for (std::size_t i = 0; i != values_per_lock && target.size() != size_wanted; ++i) {
            if (state_.pop(value, guard.woken) != detail::hand_over::done) {
                return;
            }
            target.push_back(std::move(*value));
        }
    }

    State state_;
};

/// Bounded multi-producer multi-consumer channel of `T`.
///
/// Values leave in the order their `send` completed, and waiting senders and receivers are served
/// in the order they came. With a capacity of 0 the channel is a rendezvous: a value goes from its
/// sender straight to a receiver. See basic_channel for what all channels promise.
///
/// Thread safety, cancellation, lifetime, resumption, errors: as for basic_channel.
/// Complexity: O(1) plus one short lock; allocates the memory for `capacity` values once.
/// Example: examples/channel_pipeline.cpp
template <class T>
class channel : public basic_channel<detail::channel_state<T, detail::ring_buffer<T>>> {
    using base = basic_channel<detail::channel_state<T, detail::ring_buffer<T>>>;

public:
    /// A rendezvous has nothing to drop: throws std::invalid_argument for a capacity of 0 with
    /// full_policy::drop_oldest.
    explicit channel(std::size_t capacity, full_policy policy = full_policy::wait)
        : base(policy, capacity) {
        detail::check_argument(capacity != 0 || policy != full_policy::drop_oldest,
                               "a channel without a buffer cannot drop its oldest value");
    }
};

/// A channel that is never full: `send` never waits, and memory grows with what is not received
/// yet. Use it where something else bounds the number of values.
///
/// Thread safety, cancellation, lifetime, resumption: as for basic_channel.
/// Complexity: O(1) plus one short lock; memory in blocks of about 4 KiB.
/// Errors: as for basic_channel, and std::bad_alloc from sending.
/// Example: examples/channel_pipeline.cpp
template <class T>
class unbounded_channel
    : public basic_channel<detail::channel_state<T, detail::growing_buffer<T>>> {
    using base = basic_channel<detail::channel_state<T, detail::growing_buffer<T>>>;

public:
    unbounded_channel() : base(full_policy::wait) {}
};

template <class T>
using sender = sender_half<channel<T>>;
template <class T>
using receiver = receiver_half<channel<T>>;
template <class T>
using unbounded_sender = sender_half<unbounded_channel<T>>;
template <class T>
using unbounded_receiver = receiver_half<unbounded_channel<T>>;

/// A channel on the heap, in halves that share it. The last sender to go closes it; when the last
/// receiver goes, it is closed and what is buffered is destroyed.
///
///     auto [tx, rx] = weft::make_channel<int>(16);
template <class T>
[[nodiscard]] std::pair<sender<T>, receiver<T>> make_channel(
    std::size_t capacity, full_policy policy = full_policy::wait) {
    return detail::make_halves<channel<T>>(capacity, policy);
}

template <class T>
[[nodiscard]] std::pair<unbounded_sender<T>, unbounded_receiver<T>> make_unbounded_channel() {
    return detail::make_halves<unbounded_channel<T>>();
}

}  // namespace weft
