#pragma once

/// What a step of a thread touches, and which preemptions a search can leave out because of it.
///
/// A *step* is everything that a thread does from one place where others may go first to the next:
/// an operation, and the plain code behind it. Two steps conflict unless they can change places.
///
/// The reduction. Let an execution preempt a thread T before a step s, let A be what others do
/// until T goes on with s, and let no step in A conflict with s. Then T can take s first and be
/// preempted behind it: the same execution but for the order of s and A. This costs no more
/// preemptions, for if T waits, spins or ends behind s, others go on for nothing; and the search
/// has come there before, because going on stands before being preempted. So a thread that is
/// preempted is *asleep* until a step of others conflicts with the one it stands before, and nobody
/// chooses it. Among the executions that differ in such changes of place only, the first of the
/// search is left, which is within the bounds if any is. (Sleep sets as such do not go together
/// with a bound on preemptions: K. Coons, M. Musuvathi, K. McKinley, Bounded partial-order
/// reduction, OOPSLA 2013. This reduction moves a step in one direction only, that in which no
/// preemption is added.)
///
/// What a step touches is known from the executions in which the thread was not preempted, all of
/// which come first. Plain data is left out: an access that is not ordered with another one by what
/// is listed here is a race, which is found in either order.

#include <weft/tests/model/memory.hpp>

#include <cstdint>

namespace weft::model {

/// What existed when a step began: what is made later has numbers that depend on the order.
struct footprint_limits {
    std::size_t locations = 0;
    std::size_t mutexes = 0;
};

class footprint {
public:
    void read_location(std::size_t number) noexcept { locations_.read |= bit(number); }

    void write_location(std::size_t number) noexcept {
        change_location(number);
        stores_ = true;
    }

    /// What others may read there changes without a store: by a sequentially consistent load, which
    /// later ones may not fall behind, or because it is destroyed.
    void change_location(std::size_t number) noexcept { locations_.written |= bit(number); }

    void touch_mutex(std::size_t number) noexcept {
        if (number < bit_max) {
            mutexes_.written |= bit(number);
        } else {
            touch_everything();
        }
    }

    /// Unlocking lets spinning threads go on, as a store does.
    void note_store() noexcept { stores_ = true; }

    void wait_for_thread(unsigned index) noexcept { others_.read |= bit(index); }

    void end_thread(unsigned index) noexcept { others_.written |= bit(index); }

    void use_consistent_order() noexcept { others_.read |= bit(consistent); }

    void change_consistent_order() noexcept { others_.written |= bit(consistent); }

    void read_clock() noexcept { others_.read |= bit(time); }

    void change_clock() noexcept { others_.written |= bit(time); }

    void touch_conditions() noexcept { others_.written |= bit(conditions); }

    /// The thread waits for others to store something.
    void spin() noexcept { spins_ = true; }

    void touch_everything() noexcept { everything_ = true; }

    void join(footprint const& other) noexcept {
        locations_.join(other.locations_);
        mutexes_.join(other.mutexes_);
        others_.join(other.others_);
        stores_ = stores_ || other.stores_;
        spins_ = spins_ || other.spins_;
        everything_ = everything_ || other.everything_;
    }

    /// Whether this step and that one may not change places; `known` is what there was in front of
    /// both.
    [[nodiscard]] bool conflicts(footprint const& other,
                                 footprint_limits const& known) const noexcept {
        return everything_ || other.everything_ || (spins_ && other.stores_) ||
               (stores_ && other.spins_) ||
               locations_.conflict(other.locations_, known.locations) ||
               mutexes_.conflict(other.mutexes_, known.mutexes) ||
               others_.conflict(other.others_, bit_max);
    }

private:
    static constexpr std::size_t bit_max = 64;
    static_assert(location_max <= bit_max && thread_max <= 8);

    static constexpr std::size_t consistent = 8;
    static constexpr std::size_t time = 9;
    static constexpr std::size_t conditions = 10;

    struct accesses {
        std::uint64_t read = 0;
        std::uint64_t written = 0;

        void join(accesses const& other) noexcept {
            read |= other.read;
            written |= other.written;
        }

        [[nodiscard]] bool conflict(accesses const& other, std::size_t limit) const noexcept {
            std::uint64_t const mine = read | written;
            std::uint64_t const others = other.read | other.written;
            bool const both_use_new = is_above(mine, limit) && is_above(others, limit);
            return both_use_new || (written & others) != 0 || (mine & other.written) != 0;
        }

        [[nodiscard]] static bool is_above(std::uint64_t set, std::size_t limit) noexcept {
            return limit < bit_max && set >> limit != 0;
        }
    };

    [[nodiscard]] static constexpr std::uint64_t bit(std::size_t number) noexcept {
        return std::uint64_t{1} << number;
    }

    accesses locations_;
    accesses mutexes_;
    accesses others_;
    bool stores_ = false;
    bool spins_ = false;
    bool everything_ = false;
};

}  // namespace weft::model
