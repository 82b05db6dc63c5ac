#pragma once

/// Work-stealing deque (Chase and Lev) whose owner executes no fence.
///
/// Protocol. Actors: one owner, any number of thieves. The owner pushes and pops at `bottom_`,
/// thieves take at `top_`. Slot i of a buffer of capacity c is `i mod c`.
///
///   push:  slot[b] = x; bottom_ = b + 1 (release)
///   pop:   x = slot[b-1]; bottom_ = b - 1 (release); LIGHT fence; t = top_;
///          t < b-1: x is ours                              (no thief can reach it, I2)
///          t = b-1: the last item: race the thieves for it by CAS on top_, then bottom_ = b
///          t > b-1: empty: bottom_ = b
///   take_oldest, by the owner: t = top_; t < bottom_: x = slot[t]; CAS top_ t → t+1
///   steal: t = top_; empty by a glance? : HEAVY fence; b = bottom_;
///          t < b: x = slot[t]; CAS top_ t → t+1
///
/// I1 top_ only grows, and an item at index t is taken by whoever moves top_ past t, or by the
///    owner below bottom_.
/// I2 The light/heavy pair makes "bottom_ = b-1; load top_" and "CAS on top_ ... load bottom_" a
///    Dekker pair: either the owner sees the thief's progress or the thief sees the reservation.
///    With membarrier(2) the whole cost of it falls on the thief, who is about to pay for a cache
///    miss anyway.
/// I3 A thief reads the slot before the CAS that makes the item its own; a failed CAS discards what
///    was read.
/// I4 A grown buffer is published by release and read by acquire: a thief may learn of it without
///    having seen the newer bottom_. Old buffers live until the deque dies; since capacities
///    double, they add up to less than the newest one.
///
/// A thief tells "empty" from "lost", so that losing a race is not mistaken for having nothing to
/// do.

#include <weft/runtime/base/assert.hpp>
#include <weft/runtime/base/asymmetric_fence.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <new>

namespace weft::detail {

enum class steal_status : std::uint8_t { ok, empty, lost };

enum class claim_status : std::uint8_t { claimed, lost, undecided };

template <class T>
class work_deque {
public:
    static constexpr std::size_t default_capacity = 256;

    explicit work_deque(std::size_t capacity = default_capacity)
        : work_deque(
              buffer::create(std::bit_ceil(capacity < 2 ? std::size_t{2} : capacity), nullptr)) {}

    work_deque(work_deque const&) = delete;
    work_deque& operator=(work_deque const&) = delete;

    ~work_deque() {
        // relaxed: own — no thief is left
        for (buffer* each = buffer_.load(relaxed); each != nullptr;) {
            buffer* const older = each->older;
            buffer::destroy(each);
            each = older;
        }
    }

    /// Owner. Throws std::bad_alloc when the deque must grow and cannot; then nothing was pushed.
    WEFT_ALWAYS_INLINE void push(T* item) {
        // relaxed: own — only the owner writes bottom_
        std::int64_t const b = bottom_.load(relaxed);
        if (b >= full_at_) [[unlikely]] {
            push_into_full(item);
            return;
        }
        // relaxed: publish — ordered by bottom_ below
        slots_[b & mask_].store(item, relaxed);
        // release: publish the slot and what the item refers to; pairs with steal():observe-bottom
        bottom_.store(b + 1, release);
    }

    /// Owner. The item pushed last, or null.
    [[nodiscard]] T* pop() noexcept {
        // relaxed: own — only the owner writes bottom_
        std::int64_t const b = bottom_.load(relaxed) - 1;
        // relaxed: own — written by this thread; stale when the deque is empty
        T* const item = slots_[b & mask_].load(relaxed);
        std::int64_t const t = reserve(b);
        return t < b || race_for(b, t) ? item : nullptr;
    }

    /// Owner. Pops the last item if it is `expected`; the deque is unchanged otherwise. `undecided`
    /// when a thief may be after it too: then settle() follows at once.
    [[nodiscard]] WEFT_ALWAYS_INLINE claim_status claim(T const* expected) noexcept {
        // relaxed: own — only the owner writes bottom_
        std::int64_t const b = bottom_.load(relaxed) - 1;
        // relaxed: own — written by this thread; stale when the deque is empty
        if (slots_[b & mask_].load(relaxed) != expected) {
            return claim_status::lost;
        }
        return reserve(b) < b ? claim_status::claimed : claim_status::undecided;
    }

    /// Owner, after an undecided claim(): true when the item is ours.
    [[nodiscard]] bool resolve_claim() noexcept {
        // relaxed: own — where claim() left it
        std::int64_t const b = bottom_.load(relaxed);
        // relaxed: hint — race_for() decides
        return race_for(b, top_.load(relaxed));
    }

    /// Owner. Whether fewer than `limit` items are left for thieves, who may take some meanwhile.
    [[nodiscard]] WEFT_ALWAYS_INLINE bool holds_less_than(std::int64_t limit) const noexcept {
        // relaxed: own — only the owner writes bottom_
        std::int64_t const b = bottom_.load(relaxed);
        // relaxed: hint — a stale answer counts items that have been stolen
        return b - top_.load(relaxed) < limit;
    }

    /// Owner. The oldest item; null when there is none, or when a thief is faster. Costs no fence,
    /// since this thread knows of its own reservations.
    [[nodiscard]] T* take_oldest() noexcept {
        // relaxed: own — only the owner writes bottom_
        std::int64_t const b = bottom_.load(relaxed);
        // relaxed: hint — the claim below decides
        std::int64_t t = top_.load(relaxed);
        if (t >= b) {
            return nullptr;
        }
        // relaxed: own — written by this thread; discarded unless the claim succeeds
        T* const item = slots_[t & mask_].load(relaxed);
        // relaxed: claim the item; a thief that sees this has a fence before it reads bottom_. The
        // loser (relaxed) leaves the item to the thief.
        return top_.compare_exchange_strong(t, t + 1, relaxed, relaxed) ? item : nullptr;
    }

    struct steal_result {
        steal_status status;
        T* item;
    };

    /// Any thread.
    [[nodiscard]] steal_result steal() noexcept {
        if (looks_empty()) {
            return {steal_status::empty, nullptr};
        }
        // acquire: observe other thieves' claims; pairs with steal():claim
        std::int64_t t = top_.load(acquire);
        fence_heavy();  // keeps I2
        // acquire: observe-bottom; pairs with push():publish
        std::int64_t const b = bottom_.load(acquire);
        if (t >= b) {
            return {steal_status::empty, nullptr};
        }
        // acquire: observe a grown buffer; pairs with grow():publish (I4)
        buffer* const current = buffer_.load(acquire);
        // relaxed: observe — ordered by the acquire of bottom_; discarded unless the claim succeeds
        // (I3)
        T* const item = current->slot(t).load(relaxed);
        // seq_cst: claim the item; pairs with pop():claim and push():observe. The loser (relaxed)
        // reports lost.
        if (!top_.compare_exchange_strong(t, t + 1, seq_cst, relaxed)) {
            return {steal_status::lost, nullptr};
        }
        return {steal_status::ok, item};
    }

    /// Any thread. May be stale unless the caller is ordered with the owner by fences.
    [[nodiscard]] bool looks_empty() const noexcept {
        // relaxed: hint — a stale answer costs one steal attempt, or is excluded by the caller's
        // fence
        std::int64_t const t = top_.load(relaxed);
        // relaxed: hint — as above
        return bottom_.load(relaxed) <= t;
    }

private:
    struct buffer {
        std::int64_t mask;
        buffer* older;

        [[nodiscard]] std::int64_t capacity() const noexcept { return mask + 1; }

        [[nodiscard]] atomic<T*>& slot(std::int64_t index) noexcept {
            return slots()[index & mask];
        }

        [[nodiscard]] atomic<T*>* slots() noexcept {
            return std::launder(reinterpret_cast<atomic<T*>*>(this + 1));
        }

        static buffer* create(std::size_t capacity, buffer* older) {
            void* const memory = ::operator new(sizeof(buffer) + capacity * sizeof(atomic<T*>));
            auto* const made =
                ::new (memory) buffer{static_cast<std::int64_t>(capacity) - 1, older};
            for (std::size_t i = 0; i < capacity; ++i) {
                ::new (static_cast<void*>(reinterpret_cast<atomic<T*>*>(made + 1) + i))
                    atomic<T*>(nullptr);
            }
            return made;
        }

        static void destroy(buffer* dead) noexcept { ::operator delete(dead); }
    };

    explicit work_deque(buffer* first) noexcept
        : slots_(first->slots())
        , mask_(first->mask)
        , full_at_(first->capacity())
        , buffer_(first) {}

    /// Owner. Takes the item at `b`, the last one, from the thieves' reach and tells how far they
    /// are: it is ours if they are below.
    [[nodiscard]] WEFT_ALWAYS_INLINE std::int64_t reserve(std::int64_t b) noexcept {
        // release: Dekker with steal() through the fences (I2), and publish the items that are left
        // once more: a thief that reads this store has not read push()'s; pairs with
        // steal():observe-bottom
        bottom_.store(b, release);
        fence_light();
        // relaxed: Dekker with steal() through the fences (I2)
        return top_.load(relaxed);
    }

    /// Owner. At most one item is left: true when no thief was faster. The deque is empty then.
    [[nodiscard]] WEFT_COLD bool race_for(std::int64_t b, std::int64_t t) noexcept {
        // seq_cst: claim the last item; pairs with steal():claim. The loser (relaxed: it reads
        // nothing that the thief wrote) leaves the item to the thief.
        bool const won = t == b && top_.compare_exchange_strong(t, t + 1, seq_cst, relaxed);
        // relaxed: own — restores the empty state, nothing new to publish
        bottom_.store(b + 1, relaxed);
        return won;
    }

    /// Owner. The deque looked full: it may be that thieves have made room.
    WEFT_COLD void push_into_full(T* item) {
        // relaxed: own — only the owner writes bottom_
        std::int64_t const b = bottom_.load(relaxed);
        // acquire: observe how far the thieves are, so that a slot is reused only after its reader
        // is done; pairs with steal():claim
        std::int64_t const t = top_.load(acquire);
        if (b - t > mask_) {
            grow(t, b);
        }
        full_at_ = t + mask_ + 1;
        push(item);
    }

    void grow(std::int64_t top, std::int64_t bottom) {
        // relaxed: own — only the owner replaces the buffer
        buffer* const current = buffer_.load(relaxed);
        auto const doubled = static_cast<std::size_t>(current->capacity()) * 2;
        buffer* const bigger = buffer::create(doubled, current);
        for (std::int64_t i = top; i < bottom; ++i) {
            // relaxed: own — the new buffer is not shared yet, and only the owner writes the old
            // one
            bigger->slot(i).store(current->slot(i).load(relaxed), relaxed);
        }
        slots_ = bigger->slots();
        mask_ = bigger->mask;
        // release: publish the copied slots; pairs with steal():observe (I4)
        buffer_.store(bigger, release);
    }

    // --- owner thread only ------------------------------------------------------
    alignas(cache_line) atomic<T*>* slots_;
    std::int64_t mask_;
    std::int64_t full_at_;  // no bottom below this overwrites an item; grows with top_, lazily

    // --- owner writes, thieves read ----------------------------------------------
    /// Written by the owner, read by thieves.
    atomic<std::int64_t> bottom_{0};
    /// Written by the owner when it grows the deque, read by thieves.
    atomic<buffer*> buffer_;

    // --- any thread, atomic (see Protocol) ---------------------------------------
    /// Written by thieves, and by the owner for the last item and for the oldest; read by all.
    alignas(cache_line) atomic<std::int64_t> top_{0};
};

}  // namespace weft::detail
