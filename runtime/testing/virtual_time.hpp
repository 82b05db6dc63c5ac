#pragma once

/// Time that moves by itself when everybody waits for it, and the driver that tells it.
///
/// Protocol. All drivers of a runtime share one clock; everything but `now_` is under its mutex.
///   park:   the driver notes its deadline and stands among the parked
///   settle: called by whoever changed something. While a driver is not parked, or parked and
///           notified, nothing happens: its worker will park (again). Else time moves to the
///           earliest deadline, if it may go that far, and the drivers whose deadline has come are
///           notified.
///   How far: a pending advance() says so; without one, for ever while a self_advance lives and no
///           time_hold does, nor a call outside of the workers goes on; else not at all.
/// I1 Time moves only while every worker is parked without a notification. A worker that has work,
///    or for whom a wake-up is on its way, keeps it where it is: worker::wake() either finds the
///    worker about to look at its queues again or notifies the driver before it returns.
/// I2 Time never passes a deadline of a parked worker without notifying that worker.
/// I3 advance() returns when time has arrived and everybody is parked without a notification:
///    everything that was due has run.

#include <weft/runtime/base/atomic.hpp>
#include <weft/runtime/base/mutex.hpp>
#include <weft/runtime/sched/driver.hpp>

#include <utility>

namespace weft::detail {

class virtual_driver;

class virtual_clock {
public:
    /// Where time begins: an hour, so that a little before the beginning can be told.
    static constexpr nanoseconds_u64 origin = nanoseconds_u64{3'600'000'000'000};

    virtual_clock() noexcept = default;
    virtual_clock(virtual_clock const&) = delete;
    virtual_clock& operator=(virtual_clock const&) = delete;

    // --- any thread ----------------------------------------------------------------

    [[nodiscard]] nanoseconds_u64 now() const noexcept {
        // acquire: observe what preceded the step; pairs with move_to():publish
        return now_.load(acquire);
    }

    /// Time may move by itself, once more often than it may not.
    void begin_self_advance() noexcept;
    void end_self_advance() noexcept;

    void begin_hold() noexcept;
    void end_hold() noexcept;

    /// Foreign thread, one at a time. Moves time on by `distance`, and lets everything run that is
    /// due on the way.
    void advance(nanoseconds_u64 distance) noexcept;

private:
    friend class virtual_driver;

    void try_advance() noexcept;
    void move_to(nanoseconds_u64 time) noexcept;
    [[nodiscard]] bool everybody_waits() const noexcept;
    [[nodiscard]] nanoseconds_u64 earliest_deadline() const noexcept;

    // --- any thread, under mutex_ ------------------------------------------------
    mutex mutex_;
    condition changed_;  // for parked drivers, and for advance()
    virtual_driver* first_ = nullptr;
    unsigned self_advances_ = 0;
    unsigned holds_ = 0;
    bool advancing_ = false;
    nanoseconds_u64 target_ = 0;  // of the pending advance()

    // --- any thread, atomic (see Protocol) ---------------------------------------
    /// Written under mutex_, read by everybody.
    atomic<nanoseconds_u64> now_{origin};
};

class virtual_driver final : public driver {
public:
    /// Made before any worker runs.
    explicit virtual_driver(virtual_clock& clock) noexcept;
    ~virtual_driver() override;

    void poll() noexcept override;
    void park(nanoseconds_u64 deadline) noexcept override;
    void wake() noexcept override;

    [[nodiscard]] nanoseconds_u64 now() const noexcept override { return clock_->now(); }

    [[nodiscard]] bool has_running_clock() const noexcept override { return false; }

    void begin_outside_call() noexcept override { clock_->begin_hold(); }

    void end_outside_call() noexcept override { clock_->end_hold(); }

private:
    friend class virtual_clock;

    // --- constant after construction -------------------------------------------
    virtual_clock* clock_;

    // --- any thread, under the clock's mutex_ --------------------------------------
    virtual_driver* next_;
    nanoseconds_u64 deadline_ = no_deadline;
    bool parked_ = false;
    bool notified_ = false;
};

/// While it lives, time moves by itself.
class self_advance {
public:
    explicit self_advance(virtual_clock& clock) noexcept : clock_(clock) {
        clock_.begin_self_advance();
    }

    self_advance(self_advance const&) = delete;
    self_advance& operator=(self_advance const&) = delete;

    ~self_advance() { clock_.end_self_advance(); }

private:
    virtual_clock& clock_;
};

}  // namespace weft::detail
