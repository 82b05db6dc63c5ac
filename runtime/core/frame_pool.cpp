#include <weft/runtime/core/frame_pool.hpp>

#include <weft/runtime/base/assert.hpp>
#include <weft/runtime/base/atomic.hpp>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <new>

namespace weft::detail {

WEFT_STATIC_TLS constinit thread_local frame_cache this_threads_frames{};

namespace {

constexpr std::size_t batch_size = 32;
constexpr std::uint32_t cache_limit = 2 * batch_size;
constexpr std::size_t depot_limit = 128 * batch_size;

using thread_cache = frame_cache;
using free_block = frame_cache::block;

constexpr std::size_t size_of_class(std::size_t index) noexcept {
    return (index + 1) * frame_pool::granularity;
}

/// Of a block for a frame of this size whose alignment the compiler told to be `told`.
constexpr std::size_t block_alignment(std::size_t size, std::size_t told) noexcept {
    if (frame_alignment_is_told) {
        return told;
    }
    std::size_t const natural = size & (~size + 1);
    return natural < told ? told : natural;
}

void* new_block(std::size_t size, std::size_t told) {
    std::size_t const alignment = block_alignment(size, told);
    return alignment > __STDCPP_DEFAULT_NEW_ALIGNMENT__
               ? ::operator new(size, std::align_val_t(alignment))
               : ::operator new(size);
}

void delete_block(void* block, std::size_t size, std::size_t told) noexcept {
    std::size_t const alignment = block_alignment(size, told);
    if (alignment > __STDCPP_DEFAULT_NEW_ALIGNMENT__) {
        ::operator delete(block, std::align_val_t(alignment));
    } else {
        ::operator delete(block);
    }
}

struct free_list {
    free_block* first = nullptr;
    std::size_t count = 0;

    void push(free_block* block) noexcept {
        block->next = first;
        first = block;
        ++count;
    }

    free_block* pop() noexcept {
        free_block* const block = first;
        first = block->next;
        --count;
        return block;
    }
};

using free_lists = std::array<free_list, frame_pool::class_count>;

struct depot {
    std::mutex mutex;
    free_lists lists;
    thread_cache* caches = nullptr;
    std::ptrdiff_t retired_from_heap = 0;  // of threads that have exited
};

/// Never destroyed: threads may exit after static destructors ran.
depot& the_depot() noexcept {
    alignas(depot) static unsigned char place[sizeof(depot)];
    static depot* const instance = ::new (static_cast<void*>(place)) depot;
    return *instance;
}

bool pooling_wanted() noexcept {
    if (asan_enabled || tsan_enabled) {
        return false;
    }
    char const* const wish = std::getenv("WEFT_FRAME_POOL");
    return wish == nullptr || wish[0] != '0';
}

/// Decided at the first use, which may be in the initialiser of some static.
bool pooling() noexcept {
    static bool const wanted = pooling_wanted();
    return wanted;
}

void note_from_heap(thread_cache& mine, std::ptrdiff_t change) noexcept {
    if (mine.left) [[unlikely]] {
        std::scoped_lock const lock(the_depot().mutex);
        the_depot().retired_from_heap += change;
        return;
    }
    // relaxed: own — only this thread writes; live_frames() reads a count, not what it counts
    mine.from_heap.store(mine.from_heap.load(relaxed) + change, relaxed);
}

void push(thread_cache& mine, std::size_t index, free_block* block) noexcept {
    block->next = mine.first[index];
    mine.first[index] = block;
    mine.change_count(index, 1);
}

free_block* pop(thread_cache& mine, std::size_t index) noexcept {
    free_block* const block = mine.first[index];
    mine.first[index] = block->next;
    mine.change_count(index, ~std::uint32_t{0});
    return block;
}

void move_to(thread_cache& mine,
             std::size_t index,
             free_list& target,
             std::size_t wanted) noexcept {
    for (; wanted != 0 && mine.first[index] != nullptr; --wanted) {
        target.push(pop(mine, index));
    }
}

/// Gives blocks of one class to the heap.
void give_back(thread_cache& mine, std::size_t index, free_list& blocks) noexcept {
    note_from_heap(mine, -static_cast<std::ptrdiff_t>(blocks.count));
    while (blocks.first != nullptr) {
        delete_block(blocks.pop(), size_of_class(index), __STDCPP_DEFAULT_NEW_ALIGNMENT__);
    }
}

/// Gives the thread's blocks and its balance to the depot when the thread exits.
struct exit_guard {
    thread_cache* mine;

    explicit exit_guard(thread_cache& owner) : mine(&owner) {
        depot& shared = the_depot();
        std::scoped_lock const lock(shared.mutex);
        mine->next = shared.caches;
        if (shared.caches != nullptr) {
            shared.caches->previous = mine;
        }
        shared.caches = mine;
    }

    exit_guard(exit_guard const&) = delete;
    exit_guard& operator=(exit_guard const&) = delete;

    ~exit_guard() {
        depot& shared = the_depot();
        std::scoped_lock const lock(shared.mutex);
        (mine->previous != nullptr ? mine->previous->next : shared.caches) = mine->next;
        if (mine->next != nullptr) {
            mine->next->previous = mine->previous;
        }
        // relaxed: own — the thread's last write of its balance
        shared.retired_from_heap += mine->from_heap.load(relaxed);
        for (std::size_t i = 0; i < frame_pool::class_count; ++i) {
            move_to(*mine, i, shared.lists[i], ~std::size_t{0});
        }
        mine->left = true;  // keeps I5: what is freed from here on finds its way at once
        mine->limit = 0;
    }
};

void enroll(thread_cache& mine) {
    if (!mine.enrolled) {
        thread_local exit_guard const guard(mine);
        mine.enrolled = true;
        mine.limit = pooling() ? cache_limit : 0;
    }
}

/// The list is empty: takes a batch from the depot, else one block from the heap.
WEFT_COLD void* refill(thread_cache& mine, std::size_t index) {
    enroll(mine);
    if (pooling()) {
        depot& shared = the_depot();
        std::size_t const wanted = mine.left ? 1 : batch_size;
        std::scoped_lock const lock(shared.mutex);
        for (std::size_t i = 0; i < wanted && shared.lists[index].first != nullptr; ++i) {
            push(mine, index, shared.lists[index].pop());
        }
    }
    if (mine.first[index] != nullptr) {
        return pop(mine, index);
    }
    void* const block = new_block(size_of_class(index), __STDCPP_DEFAULT_NEW_ALIGNMENT__);
    note_from_heap(mine, 1);
    return block;
}

/// The list is full or the thread is new here: hands a batch to the depot, or to the heap beyond
/// its limit (I4).
WEFT_COLD void spill(thread_cache& mine, std::size_t index) noexcept {
    enroll(mine);
    free_list surplus;
    if (!pooling()) {
        move_to(mine, index, surplus, ~std::size_t{0});
        // relaxed: own — only this thread writes
    } else if (mine.counts[index].load(relaxed) > mine.limit) {
        depot& shared = the_depot();
        std::scoped_lock const lock(shared.mutex);
        bool const room = shared.lists[index].count < depot_limit;
        move_to(mine, index, room ? shared.lists[index] : surplus, batch_size);
    }
    give_back(mine, index, surplus);
}

}  // namespace

WEFT_SPARES_REGISTERS void* frame_pool::allocate_slowly(std::size_t index) noexcept {
    try {
        return refill(this_threads_frames, index);
    } catch (...) {
        return nullptr;
    }
}

void frame_pool::throw_bad_alloc() {
    throw std::bad_alloc();
}

WEFT_NOINLINE void frame_pool::deallocate_class(void* block, std::size_t index) noexcept {
    thread_cache& mine = this_threads_frames;
    auto* const freed = static_cast<free_block*>(block);
    freed->next = mine.first[index];
    mine.first[index] = freed;
    if (mine.change_count(index, 1) > mine.limit) [[unlikely]] {
        spill(mine, index);
    }
}

WEFT_COLD void* frame_pool::allocate_from_heap(std::size_t size, std::size_t alignment) {
    thread_cache& mine = this_threads_frames;
    enroll(mine);
    void* const block = new_block(size, alignment);
    note_from_heap(mine, 1);
    return block;
}

WEFT_COLD void frame_pool::deallocate_to_heap(void* block,
                                              std::size_t size,
                                              std::size_t alignment) noexcept {
    thread_cache& mine = this_threads_frames;
    enroll(mine);
    delete_block(block, size, alignment);
    note_from_heap(mine, -1);
}

std::size_t frame_pool::live_frames() noexcept {
    depot& shared = the_depot();
    std::scoped_lock const lock(shared.mutex);
    std::ptrdiff_t sum = shared.retired_from_heap;
    for (free_list const& each : shared.lists) {
        sum -= static_cast<std::ptrdiff_t>(each.count);
    }
    for (thread_cache const* each = shared.caches; each != nullptr; each = each->next) {
        // relaxed: count — exact only when the other threads rest
        sum += each->from_heap.load(relaxed);
        for (auto const& count : each->counts) {
            // relaxed: count — as above
            sum -= static_cast<std::ptrdiff_t>(count.load(relaxed));
        }
    }
    return static_cast<std::size_t>(sum);
}

std::size_t frame_pool::depot_blocks() noexcept {
    depot& shared = the_depot();
    std::scoped_lock const lock(shared.mutex);
    std::size_t sum = 0;
    for (free_list const& each : shared.lists) {
        sum += each.count;
    }
    return sum;
}

void frame_pool::trim() noexcept {
    thread_cache& mine = this_threads_frames;
    enroll(mine);
    depot& shared = the_depot();
    for (std::size_t i = 0; i < class_count; ++i) {
        free_list surplus;
        move_to(mine, i, surplus, ~std::size_t{0});
        {
            std::scoped_lock const lock(shared.mutex);
            while (shared.lists[i].first != nullptr) {
                surplus.push(shared.lists[i].pop());
            }
        }
        give_back(mine, i, surplus);
    }
}

}  // namespace weft::detail
