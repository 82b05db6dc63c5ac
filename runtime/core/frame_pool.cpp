#include <weft/runtime/core/frame_pool.hpp>

#include <weft/runtime/base/assert.hpp>
#include <weft/runtime/base/atomic.hpp>

#include <array>
#include <bit>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <new>
#include <utility>

#include <pthread.h>

namespace weft::detail {

WEFT_STATIC_TLS constinit thread_local frame_cache this_threads_frames{};

namespace {

constexpr std::size_t batch_size = 32;
static_assert(frame_row::places == 2 * batch_size);
static_assert(frame_pool::class_count == frame_cache::class_count);
constexpr std::size_t depot_limit = 128 * batch_size;

using thread_cache = frame_cache;

/// What a block holds in the depot.
struct free_block {
    free_block* next;
};

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

    void push(void* block) noexcept {
        first = ::new (block) free_block{first};
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

    /// Where a row's blocks go; keeps I4. Requires: the mutex is held.
    [[nodiscard]] free_list& room_for(std::size_t index, free_list& surplus) noexcept {
        return lists[index].count < depot_limit ? lists[index] : surplus;
    }
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

/// How many blocks stand in a row whose next one is at `place`.
std::size_t count_at(void* const* place) noexcept {
    return place == no_frames.blocks + frame_row::places - 1
               ? 0
               : reinterpret_cast<std::uintptr_t>(place) % frame_row::bytes / sizeof(void*);
}

/// Null when the class has none.
frame_row* row_of(thread_cache const& mine, std::size_t index) noexcept {
    // relaxed: own — only this thread writes
    void** const place = mine.rows[index].position.load(relaxed);
    std::size_t const offset = reinterpret_cast<std::uintptr_t>(place) % frame_row::bytes;
    void** const first = place - offset / sizeof(void*);
    return first == no_frames.blocks ? nullptr : reinterpret_cast<frame_row*>(first);
}

/// Requires: no block is in the class's row.
void set_row(thread_cache& mine, std::size_t index, frame_row* row) noexcept {
    // relaxed: own — live_frames() reads how many blocks there are, not what they are
    mine.rows[index].position.store(
        row != nullptr ? row->blocks : no_frames.blocks + frame_row::places - 1, relaxed);
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

void move_to(thread_cache& mine,
             std::size_t index,
             free_list& target,
             std::size_t wanted) noexcept {
    for (; wanted != 0; --wanted) {
        void* const block = mine.rows[index].take();
        if (block == nullptr) {
            return;
        }
        target.push(block);
    }
}

/// Gives blocks of one class to the heap.
void give_back(thread_cache& mine, std::size_t index, free_list& blocks) noexcept {
    note_from_heap(mine, -static_cast<std::ptrdiff_t>(blocks.count));
    while (blocks.first != nullptr) {
        delete_block(blocks.pop(), size_of_class(index), __STDCPP_DEFAULT_NEW_ALIGNMENT__);
    }
}

/// Moves the blocks of one row away, and the row.
void take_row_away(thread_cache& mine, std::size_t index, free_list& target) noexcept {
    move_to(mine, index, target, ~std::size_t{0});
    delete row_of(mine, index);
    set_row(mine, index, nullptr);
    mine.with_row &= ~(std::uint64_t{1} << index);
}

/// What a thread took from the heap and has not given back, without its free blocks.
std::ptrdiff_t balance_of(thread_cache const& cache) noexcept {
    // relaxed: count — exact only when the thread rests, or is gone
    std::ptrdiff_t sum = cache.from_heap.load(relaxed);
    for (auto const& row : cache.rows) {
        // relaxed: count — as above
        sum -= static_cast<std::ptrdiff_t>(count_at(row.position.load(relaxed)));
    }
    return sum;
}

void before_fork() noexcept {
    the_depot().mutex.lock();
}

void after_fork_in_parent() noexcept {
    the_depot().mutex.unlock();
}

/// keeps I7
void after_fork_in_child() noexcept {
    depot& shared = the_depot();
    thread_cache& mine = this_threads_frames;
    thread_cache* each = shared.caches;
    shared.caches = nullptr;
    while (each != nullptr) {
        thread_cache& cache = *std::exchange(each, each->next);
        if (&cache == &mine) {
            mine.previous = mine.next = nullptr;
            shared.caches = &mine;
        } else {
            shared.retired_from_heap += balance_of(cache);
        }
    }
    shared.mutex.unlock();
}

/// Once per process. It fails for want of memory only, and then children of fork are not helped.
void watch_forks() noexcept {
    [[maybe_unused]] static int const error =
        ::pthread_atfork(&before_fork, &after_fork_in_parent, &after_fork_in_child);
}

/// Gives the thread's blocks and its balance to the depot when the thread exits.
struct exit_guard {
    thread_cache* mine;

    explicit exit_guard(thread_cache& owner) : mine(&owner) {
        watch_forks();
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
        leave();
        depot& shared = the_depot();
        while (mine->with_row != 0) {
            auto const index = static_cast<std::size_t>(std::countr_zero(mine->with_row));
            free_list surplus;
            {
                std::scoped_lock const lock(shared.mutex);
                take_row_away(*mine, index, shared.room_for(index, surplus));
            }
            give_back(*mine, index, surplus);
        }
    }

private:
    void leave() noexcept {
        depot& shared = the_depot();
        std::scoped_lock const lock(shared.mutex);
        (mine->previous != nullptr ? mine->previous->next : shared.caches) = mine->next;
        if (mine->next != nullptr) {
            mine->next->previous = mine->previous;
        }
        // relaxed: own — the thread's last write of its balance
        shared.retired_from_heap += mine->from_heap.load(relaxed);
        mine->left = true;  // keeps I5: what is freed from here on finds its way at once
    }
};

void enroll(thread_cache& mine) {
    if (!mine.enrolled) {
        thread_local exit_guard const guard(mine);
        mine.enrolled = true;
    }
}

/// Whether the thread has a row of this class, or has got one.
bool has_row(thread_cache& mine, std::size_t index) noexcept {
    if (row_of(mine, index) == nullptr && pooling() && !mine.left) {
        set_row(mine, index, new (std::nothrow) frame_row{});
        mine.with_row |= std::uint64_t{1} << index;
    }
    return row_of(mine, index) != nullptr;
}

/// The row is empty: takes a batch from the depot, else one block from the heap.
WEFT_COLD void* refill(thread_cache& mine, std::size_t index) {
    enroll(mine);
    if (pooling()) {
        depot& shared = the_depot();
        bool const keeps = has_row(mine, index);
        std::scoped_lock const lock(shared.mutex);
        free_list& stock = shared.lists[index];
        for (std::size_t i = 1; keeps && i < batch_size && stock.count > 1; ++i) {
            (void)mine.rows[index].put(stock.pop());
        }
        if (stock.first != nullptr) {
            return stock.pop();
        }
    }
    void* const block = new_block(size_of_class(index), __STDCPP_DEFAULT_NEW_ALIGNMENT__);
    note_from_heap(mine, 1);
    return block;
}

/// The row is full or the thread is new here: hands a batch to the depot, or to the heap beyond its
/// limit (I4).
void spill(thread_cache& mine, std::size_t index, void* block) noexcept {
    enroll(mine);
    free_list surplus;
    if (!pooling()) {
        surplus.push(block);
    } else if (!has_row(mine, index) || !mine.rows[index].put(block)) {
        depot& shared = the_depot();
        std::scoped_lock const lock(shared.mutex);
        free_list& target = shared.room_for(index, surplus);
        target.push(block);
        move_to(mine, index, target, batch_size - 1);
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

void frame_pool::deallocate_slowly(void* block, std::size_t index) noexcept {
    spill(this_threads_frames, index, block);
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
        sum += balance_of(*each);
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
        if ((mine.with_row >> i & 1) != 0) {
            take_row_away(mine, i, surplus);
        }
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
