#pragma once

#include <weft/runtime/base/mutex.hpp>
#include <weft/runtime/sched/driver.hpp>

namespace weft::detail {

/// A driver that only sleeps: for pools that compute, and for tests that need no kernel feature.
///
/// Protocol: `notified_` under the mutex; wake sets it, park consumes it.
class thread_driver final : public driver {
public:
    thread_driver() noexcept = default;

    void poll() noexcept override;
    void park(nanoseconds_u64 deadline) noexcept override;
    void wake() noexcept override;
    [[nodiscard]] nanoseconds_u64 now() const noexcept override;

private:
    // --- any thread, under mutex_ ------------------------------------------------
    mutex mutex_;
    condition condition_;
    bool notified_ = false;
};

}  // namespace weft::detail
