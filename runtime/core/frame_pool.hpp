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

#include <weft/runtime/base/config.hpp>

#include <cstddef>

namespace weft::detail {

class frame_pool {
public:
    static constexpr std::size_t granularity = 32;
    static constexpr std::size_t largest_pooled = 2048;
    static constexpr std::size_t class_count = largest_pooled / granularity;

    /// Any thread. Throws std::bad_alloc. The class is known to the compiler where the size is.
    [[nodiscard]] WEFT_ALWAYS_INLINE static void* allocate(std::size_t size,
                                                           std::size_t alignment = heap_alignment) {
        if (alignment > heap_alignment || size > largest_pooled) {
            return allocate_from_heap(size, alignment);
        }
        return allocate_class(class_of(size));
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

    [[nodiscard]] static void* allocate_class(std::size_t index);
    [[nodiscard]] static void* allocate_from_heap(std::size_t size, std::size_t alignment);
    static void deallocate_class(void* block, std::size_t index) noexcept;
    static void deallocate_to_heap(void* block, std::size_t size, std::size_t alignment) noexcept;
};

}  // namespace weft::detail
