#pragma once

/// One run of work that several callers wait for: the part of single_flight that does not depend on
/// keys and values.
///
/// Protocol. Actors: the callers, the pilot (the task that runs the work, under the root scope),
/// and whoever requests a caller's stop. All but the reference count is under the board's mutex.
///   join:    a caller finds the flight listed, or lists a new one; participants_ + 1
///   wait:    done? go on : join the queue
///   stop:    others participate? participants_ - 1, the caller ends as stopped
///            : abandon: unlist the flight, ask the work to stop, and stay in the queue
///   land:    unlist, done, take the whole queue, unlock → schedule everybody in it
///   fail:    after a landing with an error each participant takes a reference to the error,
///            participants_ - 1; the last one takes the flight's own
///   forget:  unlist; the participants stay
///   nested:  a call that is made inside of a flight's work adds an edge, from that flight to the
///            one that it joins, under the graph's mutex, which may be taken under a board's;
///            does the other flight reach this one along edges? refuse. The edge goes with the call
///
/// I1 A flight that has not landed has a participant, who refers to the board; so the board is
///    alive until the lock of the landing is given back, and is not touched after that.
/// I2 Once done_ is set the queue belongs to the pilot: a stop that comes later does nothing.
/// I3 The last participant does not leave before the work has ended: nothing runs on behalf of
///    nobody. An abandoned flight is not listed, so whoever comes next begins another.
/// I4 The outcome is written before done_ and read by participants after they were scheduled.
/// I5 Once its participants have taken it, only they hold the error: it is not destroyed by the
///    pilot's thread, behind the back of who has caught it.
/// I6 The edges of all boards together make no cycle, so no flight waits for itself.
///
/// Rejected: callers that wait as a `waiter` of wait_list.hpp. A stop takes that out of its list;
/// here the last participant, which has been stopped as well, waits on until the work has ended.

#include <weft/runtime/base/intrusive_list.hpp>
#include <weft/runtime/base/mutex.hpp>
#include <weft/runtime/coro/promise.hpp>
#include <weft/runtime/task/task_local.hpp>

#include <concepts>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <utility>

namespace weft {

struct single_flight_counters {
    std::uint64_t calls = 0;
    std::uint64_t flights = 0;    ///< times that work was begun
    std::uint64_t shared = 0;     ///< calls that joined a flight of another
    std::uint64_t left = 0;       ///< calls that were stopped while others waited on
    std::uint64_t abandoned = 0;  ///< flights that were stopped because their last caller was
    std::size_t in_flight = 0;    ///< now, and open to new callers
};

namespace detail {

class flight;

/// Inside of a flight's work, the flight.
inline constexpr task_local<flight*> current_flight;

/// What the flights of one single_flight share.
struct flight_board {
    mutable mutex mutex_;
    single_flight_counters counters;  // under mutex_
};

/// Waits for the landing. A stop of the last participant does not end the wait but the work.
class [[nodiscard]] flight_wait : private stop_node, public intrusive_list_hook<flight_wait> {
public:
    explicit flight_wait(flight& target) noexcept : stop_node(&on_stop), flight_(&target) {}

    ~flight_wait() { withdraw(); }

    [[nodiscard]] bool await_ready() const noexcept { return false; }

    template <std::derived_from<promise_base> Promise>
    [[nodiscard]] bool await_suspend(std::coroutine_handle<Promise> waiter) noexcept {
        return begin(waiter.promise());
    }

    void await_resume() noexcept { withdraw(); }

private:
    friend class flight;

    /// False when the flight has landed.
    [[nodiscard]] bool begin(promise_base& waiter) noexcept;
    static void on_stop(stop_node& node) noexcept;

    // --- constant after begin() ----------------------------------------------------
    flight* flight_;
    promise_base* waiter_ = nullptr;

    // --- any thread, under the board's mutex --------------------------------------
    bool stop_came_ = false;
};

/// The dependence of a flight, in whose work a call is made, on the flight that this call joins.
class flight_edge : public intrusive_list_hook<flight_edge> {
public:
    flight_edge() noexcept = default;
    flight_edge(flight_edge const&) = delete;
    flight_edge& operator=(flight_edge const&) = delete;
    ~flight_edge();

    /// Once. False, and no edge is added, where `target` waits for `source`: then it would never
    /// land. Requires: `source` has not landed while the edge is there.
    [[nodiscard]] bool connect(flight& source, flight& target) noexcept;

private:
    friend class flight;

    flight* target_ = nullptr;  // a reference
};

class flight {
public:
    flight(flight const&) = delete;
    flight& operator=(flight const&) = delete;

    /// Holder of a reference.
    void share() noexcept;
    void drop() noexcept;

    /// Requires: the board's mutex is held, and the flight is listed.
    void join() noexcept { ++participants_; }

    /// Pilot, once. `how` is not `value` unless the value is in place.
    void land(outcome how, std::exception_ptr error) noexcept;

    /// Whoever comes next begins another. Requires: the board's mutex is held.
    void forget() noexcept { remove_from_list(); }

    /// Asks the work to stop.
    [[nodiscard]] stop_token token() noexcept { return stop_.token(); }

    // --- participant, after the landing ----------------------------------------------

    [[nodiscard]] outcome ended_as() const noexcept { return outcome_; }

    /// Once, after an error.
    [[nodiscard]] std::exception_ptr take_error() noexcept;

protected:
    using function = void (*)(flight&) noexcept;

    /// With one reference and one participant. `unlist` is called under the board's mutex.
    flight(flight_board& board, function unlist, function dispose) noexcept
        : board_(&board)
        , unlist_(unlist)
        , dispose_(dispose) {}

    ~flight() = default;

private:
    friend class flight_edge;
    friend class flight_wait;

    enum class departure : std::uint8_t { stay, leave, abandon };

    [[nodiscard]] departure depart() noexcept;
    void remove_from_list() noexcept;
    [[nodiscard]] bool reaches(flight const& goal) noexcept;

    // --- constant after construction -------------------------------------------
    flight_board* board_;
    function unlist_;
    function dispose_;

    // --- any thread (its own protocol) -----------------------------------------------
    stop_source stop_;

    // --- any thread, atomic (see Protocol) ---------------------------------------
    /// Written by every holder of a reference.
    atomic<std::uint32_t> references_{1};

    // --- any thread, under the board's mutex --------------------------------------
    intrusive_list<flight_wait> waiting_;
    std::size_t participants_ = 1;  // from a landing with an error on, those yet to take it
    bool listed_ = true;
    bool done_ = false;
    outcome outcome_ = outcome::pending;  // constant once done (I4)
    std::exception_ptr error_;

    // --- any thread, under the graph's mutex ---------------------------------------
    intrusive_list<flight_edge> waits_for_;
    flight* next_to_search_ = nullptr;
    std::uint64_t searched_in_ = 0;
};

/// A reference that is given back at the end of its life.
class flight_reference {
public:
    /// Takes the caller's reference over.
    explicit flight_reference(flight& target) noexcept : target_(&target) {}

    flight_reference(flight_reference&& other) noexcept
        : target_(std::exchange(other.target_, nullptr)) {}

    flight_reference& operator=(flight_reference&&) = delete;

    ~flight_reference() {
        if (target_ != nullptr) {
            target_->drop();
        }
    }

    [[nodiscard]] flight& operator*() const noexcept { return *target_; }

private:
    flight* target_;
};

/// Lands the flight as stopped if its work never came to an end.
class flight_pilot {
public:
    explicit flight_pilot(flight_reference target) noexcept : target_(std::move(target)) {}

    flight_pilot(flight_pilot&& other) noexcept
        : target_(std::move(other.target_))
        , flying_(std::exchange(other.flying_, false)) {}

    flight_pilot& operator=(flight_pilot&&) = delete;

    ~flight_pilot() {
        if (flying_) {
            land(outcome::stopped, nullptr);
        }
    }

    [[nodiscard]] flight& target() const noexcept { return *target_; }

    void land(outcome how, std::exception_ptr error) noexcept {
        flying_ = false;
        (*target_).land(how, std::move(error));
    }

private:
    flight_reference target_;
    bool flying_ = true;
};

[[noreturn]] void throw_waits_for_itself();

}  // namespace detail

}  // namespace weft
