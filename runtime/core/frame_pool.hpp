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
/// I3 The depot keeps at most `depot_limit` blocks of a class; what exceeds it goes back to the
///    heap.
///
/// Blocks come from the heap and have its alignment. Larger frames and sanitizer builds use the
/// heap directly (a sanitizer sees more that way), and so does a process started with
/// WEFT_FRAME_POOL=0.

#include <cstddef>

namespace weft::detail {

class frame_pool {
public:
    static constexpr std::size_t granularity = 32;
    static constexpr std::size_t largest_pooled = 2048;
    static constexpr std::size_t class_count = largest_pooled / granularity;

    /// Any thread. Throws std::bad_alloc.
    [[nodiscard]] static void* allocate(std::size_t size);

    /// Any thread; `size` is what `allocate` was given.
    static void deallocate(void* block, std::size_t size) noexcept;

    /// Any thread. Frames allocated and not yet freed, exact when no other thread allocates or
    /// frees.
    [[nodiscard]] static std::size_t live_frames() noexcept;

    /// Any thread. Free blocks that wait in the depot for a thread that needs them.
    [[nodiscard]] static std::size_t depot_blocks() noexcept;

    /// Calling thread. Gives its free blocks and the depot's back to the heap.
    static void trim() noexcept;
};

}  // namespace weft::detail
