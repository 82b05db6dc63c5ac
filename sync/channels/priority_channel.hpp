#pragma once

#include <weft/sync/channels/channel.hpp>
#include <weft/sync/channels/detail/priority_buffer.hpp>

#include <cstddef>
#include <utility>

namespace weft {

/// The default order of a priority_channel: what is greater leaves first.
struct greatest_first {
    template <class T>
    [[nodiscard]] bool operator()(T const& left, T const& right) const noexcept {
        return left < right;
    }
};

/// Bounded channel from which the greatest value leaves first; equal values leave in the order in
/// which their `send` completed. `Less` orders the values.
///
/// A value enters the order when it enters the buffer: senders that wait for room are served in the
/// order in which they came, whatever they bring. Waiting receivers likewise.
///
/// Thread safety, cancellation, lifetime, resumption: as for basic_channel.
/// Complexity: O(log capacity) plus one short lock; allocates once. `Less` is called under the
///     lock.
/// Errors: as for basic_channel. `Less` must not throw.
/// Example: examples/worker_pool.cpp
template <class T, class Less = greatest_first>
class priority_channel
    : public basic_channel<detail::channel_state<T, detail::priority_buffer<T, Less>>> {
    using base = basic_channel<detail::channel_state<T, detail::priority_buffer<T, Less>>>;

public:
    /// Throws std::invalid_argument for a capacity of 0, and for full_policy::drop_oldest, since
    /// the oldest value is not the one that leaves next.
    explicit priority_channel(std::size_t capacity,
                              full_policy policy = full_policy::wait,
                              Less less = Less())
        : base(policy, capacity, std::move(less)) {
        detail::check_argument(capacity != 0,
                               "a priority_channel without a buffer has nothing to order");
        detail::check_argument(policy != full_policy::drop_oldest,
                               "a priority_channel does not drop its oldest value");
    }
};

template <class T, class Less = greatest_first>
using priority_sender = sender_half<priority_channel<T, Less>>;
template <class T, class Less = greatest_first>
using priority_receiver = receiver_half<priority_channel<T, Less>>;

/// A priority_channel in halves; see make_channel.
template <class T, class Less = greatest_first>
[[nodiscard]] std::pair<priority_sender<T, Less>, priority_receiver<T, Less>> make_priority_channel(
    std::size_t capacity, full_policy policy = full_policy::wait, Less less = Less()) {
    return detail::make_halves<priority_channel<T, Less>>(capacity, policy, std::move(less));
}

}  // namespace weft
