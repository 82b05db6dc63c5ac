#pragma once

#include <weft/runtime/values/result.hpp>
#include <weft/sync/channels/detail/channel_half.hpp>
#include <weft/sync/wait/channel_operation.hpp>

#include <concepts>
#include <cstddef>
#include <optional>
#include <utility>

namespace weft {

namespace detail {

/// Room for one value; see channel_buffer.hpp.
template <class T>
class single_buffer {
public:
    static constexpr char const* channel_name = "a oneshot";

    [[nodiscard]] bool empty() const noexcept { return !value_.has_value(); }

    [[nodiscard]] bool has_room() const noexcept { return !value_.has_value(); }

    [[nodiscard]] std::size_t size() const noexcept { return value_.has_value() ? 1 : 0; }

    [[nodiscard]] std::size_t capacity() const noexcept { return 1; }

    template <class U>
    void push(U&& value) {
        value_.emplace(static_cast<U&&>(value));
    }

    [[nodiscard]] T& front() noexcept { return *value_; }

    void pop_front() noexcept { value_.reset(); }

private:
    std::optional<T> value_;
};

/// What the two ends of a oneshot share.
template <class T>
class oneshot_channel {
    using state_type = channel_state<T, single_buffer<T>>;

public:
    using value_type = T;
    using recv_type = recv_operation<state_type>;

    oneshot_channel() : state_(full_policy::fail) {}

    /// Sends, and closes if that succeeded: there is no second value.
    result<void> send(value_ref<T> value) {
        std::optional<T> dropped;  // none: the policy is to fail
        hand_over const outcome = state_.send_now(value, dropped);
        if (outcome == hand_over::done) {
            state_.close();
        }
        return send_result(outcome);
    }

    [[nodiscard]] recv_type recv() noexcept { return recv_type(state_); }

    [[nodiscard]] result<T> try_recv() {
        std::optional<T> value;
        hand_over const outcome = state_.recv_now(value);
        if (outcome != hand_over::done) {
            return recv_failure(outcome);
        }
        return std::move(*value);
    }

    bool close() noexcept { return state_.close(); }

    void leave_receivers() noexcept { state_.leave_receivers(); }

    [[nodiscard]] bool is_closed() const noexcept { return state_.is_closed(); }

private:
    state_type state_;
};

}  // namespace detail

/// The end of a oneshot that gives the value. Move-only; destroyed without having sent, it closes
/// the oneshot.
///
/// Thread safety: one thread at a time; the receiver may be used at the same time.
/// Cancellation: never suspends.
/// Lifetime: independent of the receiver's.
/// Complexity: O(1) plus one short lock.
/// Errors: `send` fails with errc::closed, and leaves its argument untouched, when the receiver has
///     gone or closed, or after the first value.
/// Example: examples/worker_pool.cpp
template <class T>
class oneshot_sender {
    using channel_type = detail::oneshot_channel<T>;

public:
    using value_type = T;

    /// Empty: may only be assigned to and destroyed.
    oneshot_sender() noexcept = default;

    explicit oneshot_sender(detail::shared_channel<channel_type>& shared) noexcept
        : share_(shared) {}

    oneshot_sender(oneshot_sender&&) noexcept = default;

    oneshot_sender& operator=(oneshot_sender&& other) noexcept {
        oneshot_sender(std::move(other)).share_.swap(share_);
        return *this;
    }

    ~oneshot_sender() {
        if (auto* const shared = share_.release(); shared != nullptr) {
            shared->channel.close();
            detail::leave_side(*shared);
        }
    }

    /// Never waits. Succeeds at most once.
    result<void> send(T&& value) {
        return share_.channel().send(detail::value_ref<T>(std::move(value)));
    }

    result<void> send(T const& value)
        requires std::copy_constructible<T>
    {
        return share_.channel().send(detail::value_ref<T>(value));
    }

    /// Nobody will receive, or the value was sent.
    [[nodiscard]] bool is_closed() const noexcept { return share_.channel().is_closed(); }

    [[nodiscard]] explicit operator bool() const noexcept { return static_cast<bool>(share_); }

private:
    detail::channel_share<channel_type, &detail::shared_channel<channel_type>::senders> share_;
};

/// The end of a oneshot that gets the value. Move-only; destroying it closes the oneshot and
/// destroys a value that was not received.
///
/// Thread safety: one thread at a time; the sender may be used at the same time.
/// Cancellation: a cancelled `recv` has taken nothing; if a stop races with the value, the value is
///     delivered.
/// Lifetime: must outlive its own operations.
/// Resumption: through the waiter's own scheduler, never inline in `send`.
/// Complexity: O(1) plus one short lock; a wait allocates nothing.
/// Errors: an empty optional when the sender went without sending. Aborts when it is destroyed
///     while a task waits in it.
/// Example: examples/worker_pool.cpp
template <class T>
class oneshot_receiver {
    using channel_type = detail::oneshot_channel<T>;

public:
    using value_type = T;

    /// Empty: may only be assigned to and destroyed.
    oneshot_receiver() noexcept = default;

    explicit oneshot_receiver(detail::shared_channel<channel_type>& shared) noexcept
        : share_(shared) {}

    oneshot_receiver(oneshot_receiver&&) noexcept = default;

    oneshot_receiver& operator=(oneshot_receiver&& other) noexcept {
        oneshot_receiver(std::move(other)).share_.swap(share_);
        return *this;
    }

    ~oneshot_receiver() {
        if (auto* const shared = share_.release(); shared != nullptr) {
            shared->channel.leave_receivers();
            detail::leave_side(*shared);
        }
    }

    /// The value, once; then and otherwise an empty optional when none can come any more.
    [[nodiscard]] auto recv() noexcept { return share_.channel().recv(); }

    [[nodiscard]] result<T> try_recv() { return share_.channel().try_recv(); }

    /// For threads that are not workers of a runtime: blocks the thread.
    [[nodiscard]] std::optional<T> recv_blocking() { return recv().block(); }

    /// Refuses a value from now on; one that was sent before can still be received.
    bool close() noexcept { return share_.channel().close(); }

    [[nodiscard]] explicit operator bool() const noexcept { return static_cast<bool>(share_); }

private:
    detail::channel_share<channel_type, &detail::shared_channel<channel_type>::receivers> share_;
};

/// A channel for one value, such as the answer to a request.
///
///     auto [tx, rx] = weft::make_oneshot<int>();
template <class T>
[[nodiscard]] std::pair<oneshot_sender<T>, oneshot_receiver<T>> make_oneshot() {
    auto& shared = *new detail::shared_channel<detail::oneshot_channel<T>>();
    return {oneshot_sender<T>(shared), oneshot_receiver<T>(shared)};
}

}  // namespace weft
