#pragma once

#include <weft/runtime/base/assert.hpp>
#include <weft/runtime/base/atomic.hpp>

#include <cstddef>
#include <utility>

namespace weft {

namespace detail {

/// A channel with an account of who can still use it.
template <class Channel>
struct shared_channel {
    template <class... Arguments>
    explicit shared_channel(Arguments&&... arguments)
        : channel(static_cast<Arguments&&>(arguments)...) {}

    Channel channel;

    // --- any thread, atomic -------------------------------------------------------
    /// Written by senders that come and go.
    atomic<std::size_t> senders{1};
    /// Written by receivers that come and go.
    atomic<std::size_t> receivers{1};
    /// Sides that still have somebody; written by the last of each.
    atomic<unsigned> sides{2};
};

template <class Channel>
void leave_side(shared_channel<Channel>& shared) noexcept {
    // acq_rel: count — the last side destroys what the other one has used; pairs with itself
    if (shared.sides.fetch_sub(1, acq_rel) == 1) {
        delete &shared;
    }
}

/// One share of one side.
template <class Channel, atomic<std::size_t> shared_channel<Channel>::* Count>
class channel_share {
public:
    channel_share() noexcept = default;

    explicit channel_share(shared_channel<Channel>& shared) noexcept : shared_(&shared) {}

    channel_share(channel_share const& other) noexcept : shared_(other.shared_) {
        if (shared_ != nullptr) {
            // relaxed: count — the copied share keeps the channel alive
            (shared_->*Count).fetch_add(1, relaxed);
        }
    }

    channel_share(channel_share&& other) noexcept
        : shared_(std::exchange(other.shared_, nullptr)) {}

    void swap(channel_share& other) noexcept { std::swap(shared_, other.shared_); }

    /// Gives the share up; the channel if it was the last of its side.
    [[nodiscard]] shared_channel<Channel>* release() noexcept {
        auto* const shared = std::exchange(shared_, nullptr);
        // acq_rel: count — the last one acts after all others of its side; pairs with itself
        return shared != nullptr && (shared->*Count).fetch_sub(1, acq_rel) == 1 ? shared : nullptr;
    }

    [[nodiscard]] explicit operator bool() const noexcept { return shared_ != nullptr; }

    [[nodiscard]] Channel& channel() const noexcept {
        WEFT_CHECK(shared_ != nullptr, "an empty half of a channel is used");
        return shared_->channel;
    }

private:
    shared_channel<Channel>* shared_ = nullptr;
};

}  // namespace detail

/// The sending half of a channel that make_channel() made. Copies send into the same channel; when
/// the last one is destroyed, the channel is closed. Members are those of the channel.
///
/// Thread safety: a half belongs to one thread at a time; copies may be used at the same time.
/// Cancellation, resumption, complexity, errors: as for the channel.
/// Lifetime: keeps the channel alive; must outlive its own operations: the last half of its side
///     aborts when it is destroyed while one waits.
/// Example: examples/worker_pool.cpp
template <class Channel>
class sender_half {
public:
    using value_type = typename Channel::value_type;

    /// Empty: may only be assigned to and destroyed.
    sender_half() noexcept = default;

    explicit sender_half(detail::shared_channel<Channel>& shared) noexcept : share_(shared) {}

    sender_half(sender_half const&) noexcept = default;
    sender_half(sender_half&&) noexcept = default;

    sender_half& operator=(sender_half other) noexcept {
        share_.swap(other.share_);
        return *this;
    }

    ~sender_half() {
        if (auto* const shared = share_.release(); shared != nullptr) {
            shared->channel.leave_senders();
            detail::leave_side(*shared);
        }
    }

    [[nodiscard]] explicit operator bool() const noexcept { return static_cast<bool>(share_); }

    [[nodiscard]] auto send(value_type&& value) const noexcept {
        return channel().send(std::move(value));
    }

    [[nodiscard]] auto send(value_type const& value) const noexcept
        requires requires(Channel& c) { c.send(value); }
    {
        return channel().send(value);
    }

    auto try_send(value_type&& value) const { return channel().try_send(std::move(value)); }

    auto try_send(value_type const& value) const
        requires requires(Channel& c) { c.try_send(value); }
    {
        return channel().try_send(value);
    }

    template <class Iterator>
    [[nodiscard]] auto send_many(Iterator& next, Iterator last) const {
        return channel().send_many(next, std::move(last));
    }

    void send_blocking(value_type&& value) const { channel().send_blocking(std::move(value)); }

    bool close() const noexcept { return channel().close(); }

    [[nodiscard]] bool is_closed() const noexcept { return channel().is_closed(); }

    [[nodiscard]] std::size_t size() const noexcept { return channel().size(); }

    [[nodiscard]] std::size_t capacity() const noexcept { return channel().capacity(); }

    [[nodiscard]] std::size_t high_water() const noexcept { return channel().high_water(); }

    [[nodiscard]] std::size_t dropped_count() const noexcept { return channel().dropped_count(); }

private:
    [[nodiscard]] Channel& channel() const noexcept { return share_.channel(); }

    detail::channel_share<Channel, &detail::shared_channel<Channel>::senders> share_;
};

/// The receiving half of a channel that make_channel() made. Copies take from the same channel;
/// when the last one is destroyed, the channel is closed and what is buffered is destroyed.
///
/// Thread safety, cancellation, lifetime, resumption, complexity, errors: as for sender_half.
/// Example: examples/worker_pool.cpp
template <class Channel>
class receiver_half {
public:
    using value_type = typename Channel::value_type;

    /// Empty: may only be assigned to and destroyed.
    receiver_half() noexcept = default;

    explicit receiver_half(detail::shared_channel<Channel>& shared) noexcept : share_(shared) {}

    receiver_half(receiver_half const&) noexcept = default;
    receiver_half(receiver_half&&) noexcept = default;

    receiver_half& operator=(receiver_half other) noexcept {
        share_.swap(other.share_);
        return *this;
    }

    ~receiver_half() {
        if (auto* const shared = share_.release(); shared != nullptr) {
            shared->channel.leave_receivers();
            detail::leave_side(*shared);
        }
    }

    [[nodiscard]] explicit operator bool() const noexcept { return static_cast<bool>(share_); }

    [[nodiscard]] auto recv() const noexcept { return channel().recv(); }

    [[nodiscard]] auto try_recv() const { return channel().try_recv(); }

    template <class Container>
    [[nodiscard]] auto recv_many(Container& target, std::size_t limit) const {
        return channel().recv_many(target, limit);
    }

    [[nodiscard]] auto recv_blocking() const { return channel().recv_blocking(); }

    bool close() const noexcept { return channel().close(); }

    [[nodiscard]] bool is_closed() const noexcept { return channel().is_closed(); }

    [[nodiscard]] std::size_t size() const noexcept { return channel().size(); }

    [[nodiscard]] std::size_t capacity() const noexcept { return channel().capacity(); }

    [[nodiscard]] std::size_t high_water() const noexcept { return channel().high_water(); }

    [[nodiscard]] std::size_t dropped_count() const noexcept { return channel().dropped_count(); }

private:
    [[nodiscard]] Channel& channel() const noexcept { return share_.channel(); }

    detail::channel_share<Channel, &detail::shared_channel<Channel>::receivers> share_;
};

namespace detail {

template <class Channel, class... Arguments>
[[nodiscard]] std::pair<sender_half<Channel>, receiver_half<Channel>> make_halves(
    Arguments&&... arguments) {
    auto& shared = *new shared_channel<Channel>(static_cast<Arguments&&>(arguments)...);
    return {sender_half<Channel>(shared), receiver_half<Channel>(shared)};
}

}  // namespace detail

}  // namespace weft
