#include <weft/runtime/core/timer_wheel.hpp>

#include <bit>
#include <utility>

namespace weft::detail {

namespace {

constexpr std::uint64_t low_bits(unsigned count) noexcept {
    return count >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << count) - 1;
}

}  // namespace

void timer_wheel::insert(timer_node& timer, std::uint64_t deadline) noexcept {
    timer.deadline_ = deadline;
    ++size_;
    if (deadline <= now_) {
        timer.place_ = timer_node::due;
        due_.push_back(timer);
    } else {
        place(timer);
    }
}

void timer_wheel::place(timer_node& timer) noexcept {
    std::uint64_t const differing = timer.deadline_ ^ now_;
    unsigned const level = (63U - static_cast<unsigned>(std::countl_zero(differing))) / digit_bits;
    unsigned const slot =
        static_cast<unsigned>(timer.deadline_ >> (level * digit_bits)) & (slot_count - 1);
    timer.place_ = static_cast<std::uint16_t>(level * slot_count + slot);
    slots_[level][slot].push_back(timer);
    occupied_[level] |= std::uint64_t{1} << slot;
    occupied_levels_ = static_cast<std::uint16_t>(occupied_levels_ | (1U << level));
}

bool timer_wheel::cancel(timer_node& timer) noexcept {
    if (!timer.is_linked()) {
        return false;
    }
    timer.unlink();
    std::uint16_t const place = std::exchange(timer.place_, timer_node::expired);
    if (place == timer_node::expired) {
        return true;
    }
    --size_;
    if (place == timer_node::due) {
        return true;
    }
    unsigned const level = place / slot_count;
    unsigned const slot = place % slot_count;
    if (slots_[level][slot].empty()) {
        occupied_[level] &= ~(std::uint64_t{1} << slot);
        if (occupied_[level] == 0) {
            occupied_levels_ = static_cast<std::uint16_t>(occupied_levels_ & ~(1U << level));
        }
    }
    return true;
}

timer_wheel::position timer_wheel::first_occupied() const noexcept {
    unsigned const level = static_cast<unsigned>(std::countr_zero(occupied_levels_));
    return {level, static_cast<unsigned>(std::countr_zero(occupied_[level]))};
}

std::uint64_t timer_wheel::start_of(position where) const noexcept {
    unsigned const shift = where.level * digit_bits;
    return (now_ & ~low_bits(shift + digit_bits)) | (std::uint64_t{where.slot} << shift);
}

void timer_wheel::advance(std::uint64_t now, timer_list& expired) noexcept {
    while (timer_node* const timer = due_.pop_front()) {
        expire(*timer, expired);
    }
    while (occupied_levels_ != 0) {
        position const where = first_occupied();
        std::uint64_t const start = start_of(where);
        if (start > now) {
            break;
        }
        now_ = start;  // keeps I2
        empty_slot(where, expired);
    }
    if (now > now_) {
        now_ = now;
    }
}

void timer_wheel::expire(timer_node& timer, timer_list& expired) noexcept {
    --size_;
    timer.place_ = timer_node::expired;
    expired.push_back(timer);
}

void timer_wheel::empty_slot(position where, timer_list& expired) noexcept {
    timer_list taken;
    taken.splice_back(slots_[where.level][where.slot]);
    occupied_[where.level] &= ~(std::uint64_t{1} << where.slot);
    if (occupied_[where.level] == 0) {
        occupied_levels_ = static_cast<std::uint16_t>(occupied_levels_ & ~(1U << where.level));
    }
    while (timer_node* const timer = taken.pop_front()) {
        if (timer->deadline_ <= now_) {
            expire(*timer, expired);
        } else {
            place(*timer);
        }
    }
}

std::uint64_t timer_wheel::next_expiry() const noexcept {
    if (!due_.empty()) {
        return now_;
    }
    if (occupied_levels_ == 0) {
        return never;
    }
    position const where = first_occupied();
    timer_list& slot = slots_[where.level][where.slot];
    std::uint64_t earliest = never;
    unsigned scanned = 0;
    for (timer_node* each = slot.front(); each != nullptr; each = slot.after(*each)) {
        if (++scanned > scan_limit) {
            return start_of(where);
        }
        earliest = each->deadline_ < earliest ? each->deadline_ : earliest;
    }
    return earliest;
}

}  // namespace weft::detail
