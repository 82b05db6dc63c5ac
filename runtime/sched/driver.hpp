#pragma once

/// The interface in which a worker waits.
///
/// A worker owns one driver and is the only thread that calls it, `wake` excepted. The scheduler
/// knows nothing of what happens inside: io_uring, epoll, a futex, or a simulated kernel with
/// virtual time.

#include <cstddef>
#include <cstdint>

namespace weft::detail {

class io_backend;

/// Nanoseconds of the driver's monotonic clock.
using nanoseconds_u64 = std::uint64_t;

inline constexpr nanoseconds_u64 no_deadline = ~nanoseconds_u64{0};

/// 146 years, and so beyond any uptime: what is due then or later is never due, and no driver hears
/// of it. So early that what is added to a deadline, here or in the kernel, does not overflow.
inline constexpr nanoseconds_u64 end_of_time = nanoseconds_u64{1} << 62U;

/// The deadline `length` after `now`, at most end_of_time. Requires: both are below 2^63.
[[nodiscard]] constexpr nanoseconds_u64 time_after(nanoseconds_u64 now,
                                                   nanoseconds_u64 length) noexcept {
    return now + length < end_of_time ? now + length : end_of_time;
}

class driver {
public:
    driver() noexcept = default;
    driver(driver const&) = delete;
    driver& operator=(driver const&) = delete;
    virtual ~driver() = default;

    /// Owner, once, before anything else: binds the driver to the calling thread.
    virtual void attach() noexcept {}

    /// Owner, once, after the last operation: undoes `attach`.
    virtual void detach() noexcept {}

    /// Owner. Hands queued work to the kernel; what has completed is pushed into the worker's ready
    /// queue. Never blocks.
    virtual void poll() noexcept = 0;

    /// Owner. Like `poll`, but with nothing to report it blocks until something completes, `wake`
    /// is called, or the clock reaches `deadline`. A `wake` that came before the call makes it
    /// return at once. May return early.
    virtual void park(nanoseconds_u64 deadline) noexcept = 0;

    /// Any thread. Makes the current or the next `park` return.
    virtual void wake() noexcept = 0;

    /// Any thread.
    [[nodiscard]] virtual nanoseconds_u64 now() const noexcept = 0;

    /// Owner. True when `poll` might find something: a hint that spares a busy worker a system
    /// call.
    [[nodiscard]] virtual bool has_pending() const noexcept { return false; }

    /// Any thread. False where the clock stands still while a worker is busy: nobody naps there to
    /// watch that worker.
    [[nodiscard]] virtual bool has_running_clock() const noexcept { return true; }

    /// Owner of a worker, in pairs: a call goes on outside the workers on behalf of a task. A clock
    /// that moves by itself stands still meanwhile.
    virtual void begin_outside_call() noexcept {}

    virtual void end_outside_call() noexcept {}

    /// What operations of the I/O layer are started on; null for a driver that only computes.
    [[nodiscard]] io_backend* io() const noexcept { return io_; }

protected:
    // --- constant after construction -------------------------------------------
    io_backend* io_ = nullptr;
};

}  // namespace weft::detail
