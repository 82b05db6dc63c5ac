#pragma once

/// Who sleeps, who searches, and whom to wake: every wake-up decision of the scheduler.
///
/// Protocol. One packed word counts workers that are awake and workers that search for work to
/// steal, and tells whether a sleeper watches; the list of sleepers stands under a mutex. Actors:
/// workers, and any thread that publishes work.
///
///   publish work → fence → wanted()?   nobody searches and somebody sleeps → pick(), unpark that
///          worker
///   park:  begin_sleep() (leaves the counts, joins the list) → fence → look at every queue again →
///          found something and rise(): search : block
///   find work, as the last searcher: end_search() leaves the counts → look at every queue →
///          nothing? fence → look again → something: publish it anew
///   end the watch: end_sleep() → somebody else sleeps? fence → look at the queues → something:
///          publish it anew
///
/// A publisher of a single item that it takes itself soon asks wanted_for_one() instead. The
/// watcher is a sleeper that has seen such items come and go too fast to be stolen: it naps, with a
/// deadline, and looks for one that is left behind; meanwhile single items wake nobody.
///
/// I1 Dekker: a publisher writes its queue and then reads the word; a sleeper writes the word and
///    then reads the queues, with a full fence on both sides (or the light/heavy pair). One sees
///    the other, so no work is left behind with everybody asleep. The fences order all of it: the
///    word is changed by read-modify-writes, which are relaxed, since it publishes nothing. A value
///    that a publisher relies on, with a searcher in it, is followed in the word's modification
///    order by the one that counts the last searcher out; that worker's fence comes behind the
///    publisher's, and its look at the queues sees the item.
/// I2 At most one worker is woken for one publication, and none while a searcher is awake: the
///    searcher will find the work. A searcher that finds some calls end_search(); if it was the
///    last one it looks for more, and wakes a successor.
/// I3 The last searcher to give up looks at every queue again after it is counted out; hence a
///    publisher that relied on it (I2) is served.
///    A sleeper that sees work does not rise while enough others search, for the same reason.
/// I4 A worker that pick() has taken from the list is counted awake and searching before it runs,
///    so that a second publisher does not wake a second worker for the same item.
/// I5 The watch ends, in the word, before the watcher sleeps without a deadline; then its look at
///    the queues (I1) takes single items for work. One that gets up for work of its own, which may
///    be long, looks in end_watch() instead. So none of them is left behind by everybody.

#include <weft/runtime/base/asymmetric_fence.hpp>
#include <weft/runtime/base/atomic.hpp>
#include <weft/runtime/base/mutex.hpp>
#include <weft/runtime/core/runnable.hpp>

#include <cstddef>
#include <cstdint>

namespace weft::detail {

class idle_set {
public:
    static constexpr unsigned nobody = ~0U;
    static constexpr unsigned max_workers = 1024;

    /// Throws std::invalid_argument when there cannot be so many.
    [[nodiscard]] static unsigned checked(unsigned worker_count);

    /// All workers start awake and not searching.
    explicit idle_set(unsigned worker_count);
    ~idle_set();

    idle_set(idle_set const&) = delete;
    idle_set& operator=(idle_set const&) = delete;

    /// Any thread, after a fence that follows the publication (I1). True when a worker should be
    /// woken.
    [[nodiscard]] bool wanted() const noexcept {
        // relaxed: Dekker with begin_sleep() through the caller's fence (I1)
        std::uint32_t const word = word_.load(relaxed);
        return searching(word) == 0 && awake(word) < worker_count_;
    }

    /// The same for a single item that its publisher takes soon: not while somebody watches.
    [[nodiscard]] bool wanted_for_one() const noexcept {
        // relaxed: Dekker with begin_sleep() through the caller's fence (I1, I5)
        std::uint32_t const word = word_.load(relaxed);
        return (word & (searching_mask | watched)) == 0 && awake(word) < worker_count_;
    }

    /// Sleeper that has begun its sleep, after its fence. True while another one watches, or
    /// itself.
    [[nodiscard]] bool is_watched() const noexcept {
        // relaxed: Dekker with wanted_for_one() through the caller's fence (I5)
        return (word_.load(relaxed) & watched) != 0;
    }

    /// Any thread. Takes a sleeper from the list, or gives `nobody` when a searcher appeared or all
    /// are awake. The caller unparks that worker.
    [[nodiscard]] unsigned pick() noexcept;

    /// Worker. Asks to search; at most half of the workers do so at a time.
    [[nodiscard]] bool begin_search() noexcept;

    /// Searching worker that found work. True when it was the last searcher while others sleep: if
    /// there is more work, it wakes a successor (I2).
    [[nodiscard]] bool end_search() noexcept;

    /// The same with a look for more: what a successor is to be woken for. `look` gives the supply
    /// of all queues.
    template <class Look>
    [[nodiscard]] supply end_search(Look look) noexcept {
        if (!end_search()) {
            return supply::none;
        }
        supply const more = look();
        if (more != supply::none) {
            return more;
        }
        fence_heavy();  // keeps I3: what was published while this worker searched woke nobody
        return look();
    }

    /// Worker about to park. Afterwards it looks at all queues again (I1, I3). True when it
    /// watches, as it `wants` to: one does at a time.
    bool begin_sleep(unsigned worker, bool is_searching, bool wants_to_watch = false) noexcept;

    /// Sleeper that sees work. True when it is up and searches, by itself or because pick() had
    /// chosen it; false when enough others search: it sleeps on (I2), unless it `is_certain` to
    /// find the work.
    [[nodiscard]] bool rise(unsigned worker, bool is_certain) noexcept;

    /// Worker that does not sleep any more. True when pick() had chosen it: it then counts as
    /// searching (I4).
    [[nodiscard]] bool end_sleep(unsigned worker) noexcept;

    /// Former watcher that end_sleep() left without a search: what a sleeper is to be woken for.
    /// `look` gives the supply of the others' queues.
    template <class Look>
    [[nodiscard]] supply end_watch(Look look) noexcept {
        if (!wanted_for_one()) {
            return supply::none;  // nobody sleeps, or somebody looks who searches or watches
        }
        fence_heavy();  // keeps I5: single items that came during the watch woke nobody
        return look();
    }

private:
    static constexpr std::uint32_t one_awake = 1;
    static constexpr std::uint32_t one_searching = 1U << 16U;
    static constexpr std::uint32_t searching_mask = 0x7FFFU << 16U;
    static constexpr std::uint32_t watched = 1U << 31U;

    [[nodiscard]] static std::uint32_t awake(std::uint32_t word) noexcept { return word & 0xFFFFU; }

    [[nodiscard]] static std::uint32_t searching(std::uint32_t word) noexcept {
        return (word & searching_mask) >> 16U;
    }

    [[nodiscard]] unsigned* find(unsigned worker) noexcept;
    void erase(unsigned* place) noexcept;
    [[nodiscard]] std::uint32_t watch_of(unsigned worker) noexcept;

    // --- constant after construction -------------------------------------------
    unsigned worker_count_;

    // --- any thread, atomic (see Protocol) ---------------------------------------
    /// Written by workers and by pick(), read by publishers.
    alignas(cache_line) atomic<std::uint32_t> word_;

    // --- any thread, under mutex_ ------------------------------------------------
    alignas(cache_line) mutex mutex_;
    unsigned* sleepers_;  // a stack: the worker that slept last has the warmest caches
    unsigned sleeper_count_ = 0;
    unsigned watcher_ = nobody;
};

}  // namespace weft::detail
