#pragma once

#include <weft/sync/channels/broadcast.hpp>

#include <cstddef>
#include <utility>

namespace weft {

/// The latest value of something, and the news when it changes. A receiver sees the value that is
/// current when it subscribes, then every change, or only the last of several that came faster than
/// it read (missed() counts the others).
///
/// Thread safety: every member may be called from any thread at the same time, except the
///     destructor.
/// Cancellation: sending never suspends.
/// Lifetime: must outlive its receivers and their operations; else it aborts.
/// Complexity: `send` is O(receivers that wait) plus one short lock; `get` and receiving copy the
///     value under the lock, so that a large one is better shared.
/// Errors: `send` fails with errc::closed after `close`.
/// Example: examples/chat.cpp
template <class T>
class watch {
public:
    using value_type = T;

    explicit watch(T initial) : state_(1, "a watch") { (void)state_.push(std::move(initial)); }

    watch(watch const&) = delete;
    watch& operator=(watch const&) = delete;

    /// Replaces the value. Never waits.
    result<void> send(T&& value) { return detail::send_result(state_.push(std::move(value))); }

    result<void> send(T const& value) { return detail::send_result(state_.push(T(value))); }

    /// A copy of the latest value.
    [[nodiscard]] T get() const { return state_.latest(); }

    /// A receiver whose first value is the present one.
    [[nodiscard]] broadcast_receiver<T> subscribe() noexcept {
        return broadcast_receiver<T>(state_, state_.subscribe(1));
    }

    /// Receivers get the last value if they have not read it yet, and then nothing. False when it
    /// was closed before.
    bool close() noexcept { return state_.close(); }

    [[nodiscard]] bool is_closed() const noexcept { return state_.is_closed(); }

    [[nodiscard]] std::size_t receiver_count() const noexcept { return state_.subscriber_count(); }

private:
    detail::broadcast_state<T> state_;
};

}  // namespace weft
