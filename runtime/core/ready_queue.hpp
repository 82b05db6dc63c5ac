#pragma once

/// Bounded FIFO ring: its owner pushes, the owner and thieves take from the front.
///
/// Protocol. `head_` is moved by CAS by whoever takes, `tail_` is written by the owner only.
/// Indices are 64 bits wide and never wrap; slot i lives at `i mod capacity`.
///
///   push: h = head_ (acquire); t - h = capacity: full : slot[t] = x; tail_ = t + 1 (release)
///   take: h = head_; t = tail_ (acquire); read slots [h, h+n); CAS head_ h → h+n
///
/// I1 What was read counts only if the CAS succeeds. While head_ = h the owner cannot reuse the
///    slots [h, t), so a successful CAS proves that the reads saw those items.
/// I2 The owner takes from the front like everybody, so the order is FIFO for all and no Dekker
///    pair is needed: the only word that is contended is head_.

#include <weft/runtime/base/assert.hpp>
#include <weft/runtime/base/atomic.hpp>

#include <cstddef>
#include <cstdint>

namespace weft::detail {

template <class T, std::size_t Capacity = 256>
class ready_queue {
    static_assert(Capacity >= 2 && (Capacity & (Capacity - 1)) == 0);

public:
    static constexpr std::size_t capacity = Capacity;

    ready_queue() noexcept = default;
    ready_queue(ready_queue const&) = delete;
    ready_queue& operator=(ready_queue const&) = delete;

    /// Owner. False when the ring is full.
    [[nodiscard]] bool try_push(T* item) noexcept {
        // relaxed: own — only the owner writes tail_
        std::uint64_t const t = tail_.load(relaxed);
        // acquire: observe that the takers are done with the slot; pairs with take():claim
        if (t - head_.load(acquire) == Capacity) [[unlikely]] {
            return false;
        }
        // relaxed: publish — ordered by tail_ below
        slots_[t % Capacity].store(item, relaxed);
        // release: publish the slot and what the item refers to; pairs with take():observe-tail
        tail_.store(t + 1, release);
        return true;
    }

    /// Any thread. Takes the oldest item, or null when the ring is empty.
    [[nodiscard]] T* try_pop() noexcept {
        T* item = nullptr;
        return take(&item, 1) == 1 ? item : nullptr;
    }

    /// Owner. The same where no thief exists.
    [[nodiscard]] T* try_pop_alone() noexcept {
        // relaxed: own — without thieves the owner writes head_, too
        std::uint64_t const h = head_.load(relaxed);
        // relaxed: own — only the owner writes tail_
        if (h == tail_.load(relaxed)) {
            return nullptr;
        }
        // relaxed: own — as above
        T* const item = slots_[h % Capacity].load(relaxed);
        // relaxed: own — as above; others read it as a hint
        head_.store(h + 1, relaxed);
        return item;
    }

    /// Any thread. Takes half of the items, rounded up, at most `limit`; returns how many were
    /// written to `items`.
    [[nodiscard]] std::size_t take_half(T** items, std::size_t limit) noexcept {
        // acquire: observe the newest items; pairs with try_push():publish
        std::uint64_t const t = tail_.load(acquire);
        // relaxed: hint — only sizes the batch
        std::uint64_t const h = head_.load(relaxed);
        if (t <= h) {
            return 0;
        }
        std::size_t const half = static_cast<std::size_t>(t - h + 1) / 2;
        return take(items, half < limit ? half : limit);
    }

    /// Any thread; exact for the owner while no thief is at work.
    [[nodiscard]] std::size_t size_hint() const noexcept {
        // relaxed: hint — a stale size costs one attempt, or is excluded by the caller's fence
        std::uint64_t const h = head_.load(relaxed);
        // relaxed: hint — as above
        std::uint64_t const t = tail_.load(relaxed);
        return t > h ? static_cast<std::size_t>(t - h) : 0;
    }

    /// Any thread. How many items have been taken so far: it tells whether the owner gets on.
    [[nodiscard]] std::uint64_t taken_hint() const noexcept {
        // relaxed: hint — a stale count is one of a moment ago
        return head_.load(relaxed);
    }

    /// Any thread; see size_hint().
    [[nodiscard]] bool looks_empty() const noexcept { return size_hint() == 0; }

private:
    [[nodiscard]] std::size_t take(T** items, std::size_t wanted) noexcept {
        // acquire: observe earlier takers; pairs with take():claim
        std::uint64_t h = head_.load(acquire);
        for (;;) {
            // acquire: observe-tail; pairs with try_push():publish
            std::uint64_t const t = tail_.load(acquire);
            if (t <= h) {
                return 0;
            }
            std::size_t const available = static_cast<std::size_t>(t - h);
            std::size_t const count = wanted < available ? wanted : available;
            for (std::size_t i = 0; i < count; ++i) {
                // relaxed: observe — ordered by the acquire of tail_; counts only after the claim
                // (I1)
                items[i] = slots_[(h + i) % Capacity].load(relaxed);
            }
            // acq_rel: claim the items and let the owner reuse the slots; pairs with
            // try_push():observe. The loser (acquire: observe the winner) starts over from the head
            // that it saw.
            if (head_.compare_exchange_weak(h, h + count, acq_rel, acquire)) {
                return count;
            }
        }
    }

    // --- any thread, atomic (see Protocol) ---------------------------------------
    /// Written by takers, read by all.
    alignas(cache_line) atomic<std::uint64_t> head_{0};

    // --- owner writes, takers read -------------------------------------------------
    /// Written by the owner, read by takers.
    alignas(cache_line) atomic<std::uint64_t> tail_{0};
    /// Written by the owner, read by takers.
    atomic<T*> slots_[Capacity]{};
};

}  // namespace weft::detail
