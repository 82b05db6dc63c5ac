#pragma once

/// Allocator of coroutine frames: size classes with one row of free blocks per class and thread.
///
/// Protocol. A frame may be freed on another thread than the one that allocated it. Every thread
/// keeps its own rows; a full row hands a batch to the process-wide depot, and an empty row takes a
/// batch from it, so that producer/consumer patterns recycle memory instead of growing. The depot
/// is a mutex and is touched once per batch.
///
/// I1 A thread's rows are touched by that thread only; the thread's exit gives their blocks to the
///    depot.
/// I2 A block keeps its size class for life: classes are multiples of 32 bytes up to
///    `largest_pooled`.
/// I3 Every block comes from the heap and is live, in a thread's row or in the depot; so live
///    frames are counted where blocks enter and leave the heap, not at each allocation.
/// I4 A depot that has `depot_limit` blocks of a class takes no more rows of it: their blocks go
///    back to the heap.
/// I5 What a thread frees after it has given its rows away goes to the depot, or the heap, at once.
/// I6 One pointer per class says all of a row: it points at the block to take next, place 0 of a
///    row holds none, and rows stand at multiples of their size, so that the place after the last
///    one is told by its address. A class without a row points at the last place of one that is
///    empty.
/// I7 A process forks with the depot locked, so that the child finds it whole. What the threads
///    that the child does not have kept in their rows is lost there; their caches lie where new
///    threads may have theirs, so the child forgets them.
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

/// The free blocks of one class and thread (I6).
struct frame_row {
    static constexpr std::size_t bytes = 512;
    static constexpr std::size_t places = bytes / sizeof(void*);

    alignas(bytes) void* blocks[places];
};

/// What a class without a row points into. Never written.
inline constinit frame_row no_frames{};

/// What the allocator keeps of a thread, of which there is one (I1); here, so that it can be
/// reached inline. Constant-initialised, so that reaching it needs no guard.
struct frame_cache {
    static constexpr std::size_t class_count = 64;

    struct row {
        /// Null when the row is empty.
        [[nodiscard]] WEFT_ALWAYS_INLINE void* take() noexcept {
            // relaxed: own — only this thread writes; live_frames() reads how many blocks there
            // are, not what they are
            void** const place = position.load(relaxed);
            void* const block = *place;
            if (block != nullptr) [[likely]] {
                // relaxed: own — as above
                position.store(place - 1, relaxed);
            }
            return block;
        }

        /// False when the row is full, or when there is none.
        [[nodiscard]] WEFT_ALWAYS_INLINE bool put(void* block) noexcept {
            // relaxed: own — as in take()
            void** const place = position.load(relaxed) + 1;
            if (reinterpret_cast<std::uintptr_t>(place) % frame_row::bytes == 0) [[unlikely]] {
                return false;
            }
            *place = block;
            // relaxed: own — as in take()
            position.store(place, relaxed);
            return true;
        }

        /// Written by its thread, read by live_frames().
        atomic<void**> position{no_frames.blocks + frame_row::places - 1};
    };

    row rows[class_count];
    std::uint64_t with_row;  // one bit per class
    bool enrolled;
    bool left;  // the thread exits: nothing stays in its rows any more (I5)

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

    /// Any thread. Throws std::bad_alloc. The class is known to the compiler where the size is.
    [[nodiscard]] WEFT_ALWAYS_INLINE static void* allocate(std::size_t size,
                                                           std::size_t alignment = heap_alignment) {
        if (alignment > heap_alignment || size > largest_pooled) {
            return allocate_from_heap(size, alignment);
        }
        // Inline in coroutines too: compilers look thread-locals up anew after a suspension.
        std::size_t const index = class_of(size);
        if (void* const block = this_threads_frames.rows[index].take()) [[likely]] {
            return block;
        }
        void* const fresh = allocate_slowly(index);
        if (fresh == nullptr) [[unlikely]] {
            throw_bad_alloc();
        }
        return fresh;
    }

    /// Any thread; `size` and `alignment` are what `allocate` was given.
    WEFT_ALWAYS_INLINE static void deallocate(void* block,
                                              std::size_t size,
                                              std::size_t alignment = heap_alignment) noexcept {
        if (alignment > heap_alignment || size > largest_pooled) {
            deallocate_to_heap(block, size, alignment);
        } else if (!this_threads_frames.rows[class_of(size)].put(block)) [[unlikely]] {
            deallocate_slowly(block, class_of(size));
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
    WEFT_COLD static void deallocate_slowly(void* block, std::size_t index) noexcept;
    static void deallocate_to_heap(void* block, std::size_t size, std::size_t alignment) noexcept;
};

}  // namespace weft::detail
