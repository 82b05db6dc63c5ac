#pragma once

/// Allocator of coroutine frames: size classes with one free list per class and thread.
///
/// Protocol. A frame may be freed on another thread than the one that allocated it. Every thread
/// keeps its own lists; a list that grows past `cache_limit` hands a batch to the process-wide
/// depot, and an empty list takes a batch from it, so that producer/consumer patterns recycle
/// memory instead of growing. The depot is a mutex and is touched once per batch.
///
/// I1 A thread's lists are touched by that thread only; the thread's exit gives them to the depot.
/// I2 A block keeps its size class for life: classes are multiples of 32 bytes up to
///    `largest_pooled`.
/// I3 Every block comes from the heap and is live, in a thread's list or in the depot; so live
///    frames are counted where blocks enter and leave, not at each allocation.
/// I4 The depot keeps at most `depot_limit` blocks of a class; what exceeds it goes back to the
///    heap.
/// I5 What a thread frees after it has given its lists away goes to the depot, or the heap, at
///    once.
///
/// Blocks come from the heap. Where the compiler does not tell a frame's alignment (g++), a block
/// is aligned to the largest power of two that divides its size, as a frame's alignment does.
/// Larger and over-aligned frames and sanitizer builds use the heap directly (a sanitizer sees more
/// that way), and so does a process started with WEFT_FRAME_POOL=0.

#include <weft/runtime/base/atomic.hpp>
#include <weft/runtime/base/config.hpp>

#include <cstddef>
#include <cstdint>

namespace weft::detail {

/// What the allocator keeps of a thread, of which there is one (I1); here, so that it can be
/// reached inline. Zero-initialised, so that reading it needs no guard. The limit is 0 until the
/// first slow path has arranged for the thread's exit, so the first free block leads there.
struct frame_cache {
    static constexpr std::size_t class_count = 64;

    struct block {
        block* next;
    };

    WEFT_ALWAYS_INLINE std::uint32_t change_count(std::size_t index,
                                                  std::uint32_t change) noexcept {
        // relaxed: own — only this thread writes; live_frames() reads a count, not what it counts
        std::uint32_t const changed = counts[index].load(relaxed) + change;
        // relaxed: own — as above
        counts[index].store(changed, relaxed);
        return changed;
    }

    block* first[class_count];

    /// Written by its thread, read by live_frames().
    atomic<std::uint32_t> counts[class_count];
    std::uint32_t limit;
    bool enrolled;
    bool left;  // the thread exits: nothing stays in its lists any more (I5)

    /// Written by its thread, read by live_frames(): blocks taken from the heap minus blocks given
    /// back to it.
    atomic<std::ptrdiff_t> from_heap;
    frame_cache* previous;  // list of caches, under the depot's mutex
    frame_cache* next;
};

WEFT_STATIC_TLS extern constinit thread_local frame_cache this_threads_frames;

class frame_pool {
public:
    static constexpr std::size_t granularity = 32;
    static constexpr std::size_t largest_pooled = 2048;
    static constexpr std::size_t class_count = largest_pooled / granularity;
    static_assert(class_count == frame_cache::class_count);

    /// Any thread. Throws std::bad_alloc. The class is known to the compiler where the size is.
    [[nodiscard]] WEFT_ALWAYS_INLINE static void* allocate(std::size_t size,
                                                           std::size_t alignment = heap_alignment) {
        if (alignment > heap_alignment || size > largest_pooled) {
            return allocate_from_heap(size, alignment);
        }
        // Inline in coroutines too: compilers look thread-locals up anew after a suspension.
        frame_cache& mine = this_threads_frames;
        std::size_t const index = class_of(size);
        frame_cache::block* const block = mine.first[index];
        if (block == nullptr) [[unlikely]] {
            void* const fresh = allocate_slowly(index);
            if (fresh == nullptr) [[unlikely]] {
                throw_bad_alloc();
            }
            return fresh;
        }
        mine.first[index] = block->next;
        mine.change_count(index, ~std::uint32_t{0});
        return block;
    }

    /// Any thread; `size` and `alignment` are what `allocate` was given.
    WEFT_ALWAYS_INLINE static void deallocate(void* block,
                                              std::size_t size,
                                              std::size_t alignment = heap_alignment) noexcept {
        if (alignment > heap_alignment || size > largest_pooled) {
            deallocate_to_heap(block, size, alignment);
        } else {
            deallocate_class(block, class_of(size));
        }
    }

    /// Any thread. Frames allocated and not yet freed, exact when no other thread allocates or
    /// frees.
    [[nodiscard]] static std::size_t live_frames() noexcept;

    /// Any thread. Free blocks that wait in the depot for a thread that needs them.
    [[nodiscard]] static std::size_t depot_blocks() noexcept;

    /// Calling thread. Gives its free blocks and the depot's back to the heap.
    static void trim() noexcept;

private:
    static constexpr std::size_t heap_alignment = __STDCPP_DEFAULT_NEW_ALIGNMENT__;

    [[nodiscard]] static constexpr std::size_t class_of(std::size_t size) noexcept {
        return (size - 1) / granularity;
    }

    /// Null without memory: what throws cannot spare its caller's registers.
    [[nodiscard]] WEFT_COLD WEFT_SPARES_REGISTERS static void* allocate_slowly(
        std::size_t index) noexcept;
    [[noreturn]] WEFT_COLD static void throw_bad_alloc();
    [[nodiscard]] static void* allocate_from_heap(std::size_t size, std::size_t alignment);
    static void deallocate_class(void* block, std::size_t index) noexcept;
    static void deallocate_to_heap(void* block, std::size_t size, std::size_t alignment) noexcept;
};

}  // namespace weft::detail
