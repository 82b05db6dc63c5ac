#pragma once

/// Hierarchical timer wheel over ticks. It has no clock: time is what `advance` is told.
///
/// Structure. Level L has 64 slots of 64^L ticks each. A timer's level is the position of the
/// highest bit in which its deadline and the wheel's time differ, divided by 6; its slot is the
/// deadline's digit at that level. Eleven levels cover every 64-bit deadline, so there is no
/// horizon.
///
/// I1 All timers of level L share with `now_` every digit above L, and their digit at L is greater
///    than now_'s. Hence levels are ordered in time, slots of a level are ordered by index, and the
///    first occupied slot of the lowest occupied level holds the earliest timer.
/// I2 now_ never passes the start of an occupied slot without emptying the slot: due timers expire,
///    the others fall to lower levels (their digit at L equals now_'s then). So I1 is kept.
/// I3 A timer that is due when it is inserted waits in `due_` for the next advance.
///
/// Not thread safe: one per worker.

#include <weft/runtime/base/intrusive_list.hpp>

#include <cstddef>
#include <cstdint>

namespace weft::detail {

class timer_node : public intrusive_list_hook<timer_node> {
public:
    timer_node() noexcept = default;

    /// The tick given to insert().
    [[nodiscard]] std::uint64_t deadline() const noexcept { return deadline_; }

protected:
    /// Scratch space until insert(): sleep_for keeps its duration here, which becomes a deadline at
    /// the await.
    void keep(std::uint64_t value, bool flag) noexcept {
        deadline_ = value;
        kept_flag_ = flag;
    }

    [[nodiscard]] std::uint64_t kept_value() const noexcept { return deadline_; }

    [[nodiscard]] bool kept_flag() const noexcept { return kept_flag_; }

private:
    friend class timer_wheel;

    static constexpr std::uint16_t due = 0xFFFE;      // waits in due_
    static constexpr std::uint16_t expired = 0xFFFF;  // left the wheel

    std::uint64_t deadline_ = 0;
    std::uint16_t place_ = expired;  // level and slot, or one of the above
    bool kept_flag_ = false;
};

using timer_list = intrusive_list<timer_node>;

class timer_wheel {
public:
    static constexpr std::uint64_t never = ~std::uint64_t{0};

    timer_wheel() noexcept = default;
    timer_wheel(timer_wheel const&) = delete;
    timer_wheel& operator=(timer_wheel const&) = delete;

    /// Requires: empty. Sets the time without expiring anything.
    void start_at(std::uint64_t now) noexcept {
        WEFT_ASSERT(empty(), "a wheel with timers is restarted");
        now_ = now;
    }

    /// O(1). Requires: not inserted. A deadline that has passed expires at the next advance.
    void insert(timer_node& timer, std::uint64_t deadline) noexcept;

    /// O(1). False when the timer is not in the wheel; a timer that has expired but was not yet
    /// taken from the list that advance() filled is taken from there, which counts as cancelled.
    bool cancel(timer_node& timer) noexcept;

    /// Moves time to `now` (never backwards) and appends every timer with deadline ≤ now to
    /// `expired`: first those that were overdue when inserted, in the order of their insertion,
    /// then the others in the order of their deadlines.
    void advance(std::uint64_t now, timer_list& expired) noexcept;

    /// The earliest deadline, or a lower bound of it when many timers share its slot; now() when
    /// some timer is overdue; `never` when empty.
    [[nodiscard]] std::uint64_t next_expiry() const noexcept;

    [[nodiscard]] std::size_t size() const noexcept { return size_; }

    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }

    [[nodiscard]] std::uint64_t now() const noexcept { return now_; }

private:
    static constexpr unsigned digit_bits = 6;
    static constexpr unsigned slot_count = 1U << digit_bits;
    static constexpr unsigned level_count = 11;
    static constexpr unsigned scan_limit = 32;

    struct position {
        unsigned level;
        unsigned slot;
    };

    void place(timer_node& timer) noexcept;
    [[nodiscard]] position first_occupied() const noexcept;
    [[nodiscard]] std::uint64_t start_of(position where) const noexcept;
    void expire(timer_node& timer, timer_list& expired) noexcept;
    void empty_slot(position where, timer_list& expired) noexcept;

    std::uint64_t now_ = 0;
    std::size_t size_ = 0;
    std::uint16_t occupied_levels_ = 0;
    std::uint64_t occupied_[level_count] = {};
    mutable timer_list slots_[level_count][slot_count];
    timer_list due_;
};

}  // namespace weft::detail
