#pragma once

/// The meeting point of a child and the handle to it: who still needs the record that both know,
/// and who waits for the child's end.
///
/// Protocol. Actors: the child (whoever ends it), the handle's owner, the stop of the owner while
/// it waits, and whoever requests a stop through the handle.
///
///   word_: nobody ──wait()──► waiter ──end()──► ended     end() gives the waiter, who is resumed
///            │ ▲────withdraw()──┘                          by the child
///            │ └──────────────────────┐
///            └──withdraw()──► refused ─┘ wait() finds it, and reports `refused`
///          nobody, refused ──end()──► ended
///
///   bits_: child | handle: who holds a share of the record. Whoever gives the last one frees it.
///          requesting: somebody is inside the child's stop state through the handle
///          closed: the child's stop state is gone, or going. close() waits for `requesting`
///          asked: a stop was requested through the handle, now or before
///          taken: the outcome was handed out
///
/// I1 The outcome is written before end() (release) and read after a load or a failed exchange that
///    saw `ended` (acquire).
/// I2 A waiter is given to end() or taken back by withdraw(), never both: one exchange decides.
/// I3 The child frees the record alone if no handle is left when it looks; handles do not come
///    back.
/// I4 The child's stop state is destroyed between close() and end(); through the handle it is
///    touched between begin_request(), which said yes, and end_request() only.

#include <weft/runtime/base/assert.hpp>
#include <weft/runtime/base/atomic.hpp>

#include <cstdint>

namespace weft::detail {

class handle_cell {
public:
    enum class wait_status {
        waiting,  ///< the child will give the waiter back by end()
        ended,    ///< the outcome is there
        refused,  ///< withdraw() was first
    };

    handle_cell() noexcept = default;
    handle_cell(handle_cell const&) = delete;
    handle_cell& operator=(handle_cell const&) = delete;

    // --- child -----------------------------------------------------------------------

    /// False when the record is the child's alone (I3).
    [[nodiscard]] bool has_handle() const noexcept {
        // acquire: observe what the handle's owner did before it dropped it; pairs with drop()
        return (bits_.load(acquire) & handle_bit) != 0;
    }

    /// A stop was requested through the handle. Exact when there is no handle.
    [[nodiscard]] bool was_asked() const noexcept {
        // relaxed: hint — ordered by has_handle()
        return (bits_.load(relaxed) & asked_bit) != 0;
    }

    /// Keeps the handle away from the child's stop state, for good.
    void close() noexcept {
        // acq_rel: claim the stop state, and observe earlier requests; pairs with end_request()
        std::uint32_t bits = bits_.fetch_or(closed_bit, acq_rel);
        while ((bits & requesting_bit) != 0) {
            wait_a_little();
            // acquire: observe the end of the request; pairs with end_request()
            bits = bits_.load(acquire);
        }
    }

    /// After the outcome was written, once. Gives who waits, or null.
    [[nodiscard]] void* end() noexcept {
        // acq_rel: publish the outcome (I1), and observe the waiter; pairs with wait() and
        // is_ended()
        std::uintptr_t const before = word_.exchange(ended, acq_rel);
        WEFT_ASSERT(before != ended, "a child ends twice");
        return before == refused ? nullptr : reinterpret_cast<void*>(before);
    }

    /// True when the record is the caller's to free.
    [[nodiscard]] bool drop_child() noexcept { return drop(child_bit); }

    // --- the handle's owner ------------------------------------------------------------

    [[nodiscard]] bool is_ended() const noexcept {
        // acquire: observe the outcome (I1); pairs with end()
        return word_.load(acquire) == ended;
    }

    /// One at a time.
    [[nodiscard]] wait_status wait(void* waiter) noexcept {
        std::uintptr_t expected = nobody;
        // acq_rel: publish the waiter; pairs with end(). The loser observes the outcome (acquire),
        // or that it is refused.
        if (word_.compare_exchange_strong(
                expected, reinterpret_cast<std::uintptr_t>(waiter), acq_rel, acquire)) {
            return wait_status::waiting;
        }
        if (expected == ended) {
            return wait_status::ended;
        }
        WEFT_CHECK(expected == refused, "a join_handle is awaited while somebody else awaits it");
        // acquire: observe the outcome if the child ends now; pairs with end(). Else the next wait
        // finds nobody (relaxed: own — withdraw() is called once).
        return word_.compare_exchange_strong(expected, nobody, acquire, acquire)
                   ? wait_status::refused
                   : wait_status::ended;
    }

    /// True when the record is the caller's to free.
    [[nodiscard]] bool drop_handle() noexcept { return drop(handle_bit); }

    /// The outcome was handed out.
    void take() noexcept {
        // relaxed: publish — was_taken() is asked by who frees the record, or is a hint
        bits_.fetch_or(taken_bit, relaxed);
    }

    // --- the stop of the owner, while it waits or is about to --------------------------

    /// Once for each wait. True when `waiter` waited and does not any more: the caller has it.
    [[nodiscard]] bool withdraw(void* waiter) noexcept {
        auto const waiting = reinterpret_cast<std::uintptr_t>(waiter);
        // relaxed: hint — the exchange below decides
        std::uintptr_t seen = word_.load(relaxed);
        while (seen == nobody || seen == waiting) {
            // acq_rel: claim the waiter (I2), or leave word for it; pairs with wait(). The loser
            // looks again (relaxed: hint).
            if (word_.compare_exchange_weak(
                    seen, seen == waiting ? nobody : refused, acq_rel, relaxed)) {
                return seen == waiting;
            }
        }
        return false;
    }

    // --- whoever has the handle --------------------------------------------------------

    /// True when the child's stop state may be used until end_request().
    [[nodiscard]] bool begin_request() noexcept {
        // acq_rel: claim the stop state; pairs with close()
        std::uint32_t const before = bits_.fetch_or(requesting_bit | asked_bit, acq_rel);
        if ((before & requesting_bit) != 0) {
            return false;  // another one asks at this moment
        }
        if ((before & closed_bit) != 0) {
            end_request();
            return false;
        }
        return true;
    }

    void end_request() noexcept {
        // release: hand back the stop state; pairs with close()
        bits_.fetch_and(~requesting_bit, release);
    }

    // --- any holder of a share -----------------------------------------------------------

    [[nodiscard]] bool was_taken() const noexcept {
        // relaxed: hint — exact when the handle's owner is done, which orders it
        return (bits_.load(relaxed) & taken_bit) != 0;
    }

private:
    static constexpr std::uintptr_t nobody = 0;
    static constexpr std::uintptr_t ended = 1;
    static constexpr std::uintptr_t refused = 2;

    static constexpr std::uint32_t child_bit = 1;
    static constexpr std::uint32_t handle_bit = 2;
    static constexpr std::uint32_t requesting_bit = 4;
    static constexpr std::uint32_t closed_bit = 8;
    static constexpr std::uint32_t asked_bit = 16;
    static constexpr std::uint32_t taken_bit = 32;

    [[nodiscard]] bool drop(std::uint32_t share) noexcept {
        // acq_rel: count — publish what this side did, and observe the other's when last (I3);
        // pairs with itself
        std::uint32_t const before = bits_.fetch_and(~share, acq_rel);
        WEFT_ASSERT((before & share) != 0, "a share of a child's record is given twice");
        return (before & (child_bit | handle_bit)) == share;
    }

    static void wait_a_little() noexcept;

    // --- any thread, atomic (see Protocol) ---------------------------------------
    /// Written by both sides and by stops.
    atomic<std::uint32_t> bits_{child_bit | handle_bit};
    /// Written by both sides and by the stop of the waiter.
    atomic<std::uintptr_t> word_{nobody};
};

}  // namespace weft::detail
