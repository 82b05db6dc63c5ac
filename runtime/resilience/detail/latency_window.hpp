#pragma once

/// How long the last calls took.

#include <weft/runtime/base/mutex.hpp>
#include <weft/runtime/time/sleep.hpp>

#include <cstddef>

namespace weft::detail {

/// The last 128 durations, of which percentiles can be asked. Any thread.
class latency_window {
public:
    static constexpr std::size_t capacity = 128;

    latency_window() noexcept = default;
    latency_window(latency_window const&) = delete;
    latency_window& operator=(latency_window const&) = delete;

    void add(clock::duration latency) noexcept;

    [[nodiscard]] std::size_t size() const noexcept;

    /// The smallest duration that at least `share` of the window's do not exceed; share in (0, 1].
    /// Zero for an empty window.
    [[nodiscard]] clock::duration percentile(double share) const noexcept;

private:
    // --- any thread, under mutex_ ------------------------------------------------
    mutable mutex mutex_;
    clock::duration last_[capacity];
    std::size_t count_ = 0;  // ever
};

}  // namespace weft::detail
