#pragma once

/// Memory as the C++ model allows it to look: every location keeps all of its stores, and a load
/// may read any of them that its thread is not obliged to have superseded.
///
/// Structure. Stores of a location are numbered in modification order, which is the order of
/// execution. A *view* gives, for each location, the oldest store that may still be read. A *clock*
/// gives, for each thread, the last of its steps that happened before. A store carries the view and
/// the clock that it releases; an acquiring load takes them over. A sequentially consistent fence
/// exchanges views, but not clocks, with one view that all such fences share.
///
/// I1 Read-modify-writes read the newest store and continue its release sequence.
/// I2 Clocks follow happens-before exactly; accesses to plain data that clocks do not order are
///    races, whatever was read.
/// I3 Left out: stores that enter the modification order before one already executed, and loads
///    that read stores not executed yet. Only one thread at a time stores plainly to a location of
///    the library, and the compilers and processors of interest do not show the latter.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace weft::model {

inline constexpr std::size_t thread_max = 6;
inline constexpr std::size_t location_max = 64;

template <class Number, std::size_t Size>
struct upper_bounds {
    std::array<Number, Size> at{};

    void join(upper_bounds const& other) noexcept {
        for (std::size_t i = 0; i < Size; ++i) {
            at[i] = std::max(at[i], other.at[i]);
        }
    }

    [[nodiscard]] bool covers(upper_bounds const& other) const noexcept {
        for (std::size_t i = 0; i < Size; ++i) {
            if (other.at[i] > at[i]) {
                return false;
            }
        }
        return true;
    }
};

using view = upper_bounds<std::uint8_t, location_max>;
using clock = upper_bounds<std::uint16_t, thread_max>;

/// What one thread passes to another through a synchronisation.
struct knowledge {
    view seen;
    clock before;

    void join(knowledge const& other) noexcept {
        seen.join(other.seen);
        before.join(other.before);
    }
};

enum class order : std::uint8_t { relaxed, acquire, release, acq_rel, seq_cst };

[[nodiscard]] constexpr bool acquires(order o) noexcept {
    return o == order::acquire || o == order::acq_rel || o == order::seq_cst;
}

[[nodiscard]] constexpr bool releases(order o) noexcept {
    return o == order::release || o == order::acq_rel || o == order::seq_cst;
}

/// The memory of one execution. Its members execute at once; who calls when is decided elsewhere.
class memory {
public:
    /// Forgets everything.
    void reset() noexcept;

    /// A new location with its initial value; `location_max` when there is no room.
    [[nodiscard]] std::size_t create(std::uint64_t value);

    /// False when a thread's access to the location is not ordered before its destruction.
    [[nodiscard]] bool destroy(unsigned thread, std::size_t location) noexcept;

    /// Counts a step of the thread and checks that the location is alive for it.
    [[nodiscard]] bool access(unsigned thread, std::size_t location) noexcept;

    /// How many stores a load may read: the newest, and older ones.
    [[nodiscard]] std::size_t readable(unsigned thread,
                                       std::size_t location,
                                       order how) const noexcept;

    /// The value that is `age` stores behind the newest.
    [[nodiscard]] std::uint64_t peek(std::size_t location, std::size_t age) const noexcept;

    std::uint64_t load(unsigned thread, std::size_t location, std::size_t age, order how) noexcept;

    /// False when the location has been stored to too often for a view to count.
    [[nodiscard]] bool store(unsigned thread,
                             std::size_t location,
                             std::uint64_t value,
                             order how) noexcept;

    /// Reads the newest store and stores behind it, in one step.
    [[nodiscard]] bool modify(unsigned thread,
                              std::size_t location,
                              std::uint64_t value,
                              order how) noexcept;

    /// Sequentially consistent.
    void fence(unsigned thread) noexcept;

    /// What membarrier(2) does: a fence here, on every other of the `running` threads, and here
    /// again.
    void fence_everywhere(unsigned thread, unsigned running) noexcept;

    /// Everything that the thread knows, for a mutex, a start or a join to pass on.
    [[nodiscard]] knowledge const& known_by(unsigned thread) const noexcept {
        return threads_[thread].current;
    }

    void learn(unsigned thread, knowledge const& what) noexcept {
        threads_[thread].current.join(what);
    }

    /// Whether the step of another thread happened before.
    [[nodiscard]] bool knows(unsigned thread, unsigned other, std::uint16_t step) const noexcept {
        return threads_[thread].current.before.at[other] >= step;
    }

    /// How many locations have been created so far.
    [[nodiscard]] std::size_t location_count() const noexcept { return location_count_; }

    /// A step of the thread that other threads' accesses may be checked against.
    std::uint16_t tick(unsigned thread) noexcept {
        return ++threads_[thread].current.before.at[thread];
    }

private:
    struct message {
        std::uint64_t value;
        knowledge released;
    };

    struct location_state {
        std::vector<message> stores;
        clock accessed;  // each thread's last access
        bool alive = false;
    };

    struct thread_state {
        knowledge current;
        knowledge pending;   // joins `current` at the next fence: what relaxed loads have read
        knowledge released;  // what relaxed stores release: `current` at the last fence
    };

    [[nodiscard]] knowledge released_by(unsigned thread,
                                        std::size_t location,
                                        std::size_t number,
                                        order how) noexcept;
    [[nodiscard]] bool append(unsigned thread,
                              std::size_t location,
                              std::uint64_t value,
                              order how,
                              knowledge const* continued) noexcept;

    std::array<location_state, location_max> locations_;
    std::size_t location_count_ = 0;
    std::array<thread_state, thread_max> threads_;
    view consistent_;
};

}  // namespace weft::model
