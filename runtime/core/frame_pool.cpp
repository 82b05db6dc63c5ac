#include <weft/runtime/core/frame_pool.hpp>

#include <weft/runtime/base/assert.hpp>
#include <weft/runtime/base/atomic.hpp>

#include <array>
#include <cstdlib>
#include <mutex>
#include <new>

namespace weft::detail {

namespace {

constexpr std::size_t batch_size = 32;
constexpr std::size_t cache_limit = 2 * batch_size;
constexpr std::size_t depot_limit = 128 * batch_size;

struct free_block {
    free_block* next;
};

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

    /// Moves up to `wanted` blocks to `target`.
    void move_to(free_list& target, std::size_t wanted) noexcept {
        while (wanted != 0 && first != nullptr) {
            target.push(pop());
            --wanted;
        }
    }

    void release_all() noexcept {
        while (first != nullptr) {
            ::operator delete(pop());
        }
    }
};

using free_lists = std::array<free_list, frame_pool::class_count>;

/// One per thread (I1). Zero-initialised, so that reading it needs no guard; `enrolled` is false
/// until the first slow path has arranged for the thread's exit.
struct thread_cache {
    free_lists lists;
    bool enrolled;
    /// Written by its thread, read by live_frames(): frames allocated minus frames freed here.
    atomic<std::ptrdiff_t> balance;
    thread_cache* previous;  // list of caches, under the depot's mutex
    thread_cache* next;
};

struct depot {
    std::mutex mutex;
    free_lists lists;
    thread_cache* caches = nullptr;
    std::ptrdiff_t retired_balance = 0;  // of threads that have exited
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

bool const pooling = pooling_wanted();

constinit thread_local thread_cache cache{};

void count(thread_cache& mine, std::ptrdiff_t change) noexcept {
    // relaxed: own — only this thread writes; live_frames() reads a count, not what it counts
    mine.balance.store(mine.balance.load(relaxed) + change, relaxed);
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
        shared.retired_balance += mine->balance.load(relaxed);
        for (std::size_t i = 0; i < frame_pool::class_count; ++i) {
            mine->lists[i].move_to(shared.lists[i], mine->lists[i].count);
        }
    }
};

void enroll(thread_cache& mine) {
    if (!mine.enrolled) {
        thread_local exit_guard const guard(mine);
        mine.enrolled = true;
    }
}

constexpr std::size_t class_of(std::size_t size) noexcept {
    return (size - 1) / frame_pool::granularity;
}

/// The list is empty: takes a batch from the depot, else one block from the heap.
WEFT_COLD void* refill(thread_cache& mine, std::size_t index) {
    enroll(mine);
    if (pooling) {
        depot& shared = the_depot();
        std::scoped_lock const lock(shared.mutex);
        shared.lists[index].move_to(mine.lists[index], batch_size);
    }
    if (mine.lists[index].first != nullptr) {
        return mine.lists[index].pop();
    }
    return ::operator new((index + 1) * frame_pool::granularity);
}

/// The list is full or the thread is new here: hands a batch to the depot, or to the heap beyond
/// its limit (I3).
WEFT_COLD void spill(thread_cache& mine, std::size_t index) noexcept {
    enroll(mine);
    free_list surplus;
    if (!pooling) {
        mine.lists[index].move_to(surplus, mine.lists[index].count);
    } else if (mine.lists[index].count > cache_limit) {
        depot& shared = the_depot();
        std::scoped_lock const lock(shared.mutex);
        bool const room = shared.lists[index].count < depot_limit;
        mine.lists[index].move_to(room ? shared.lists[index] : surplus, batch_size);
    }
    surplus.release_all();
}

}  // namespace

WEFT_NOINLINE void* frame_pool::allocate(std::size_t size) {
    thread_cache& mine = cache;
    count(mine, 1);
    if (size > largest_pooled) [[unlikely]] {
        enroll(mine);
        return ::operator new(size);
    }
    free_list& list = mine.lists[class_of(size)];
    if (list.first == nullptr) [[unlikely]] {
        return refill(mine, class_of(size));
    }
    return list.pop();
}

WEFT_NOINLINE void frame_pool::deallocate(void* block, std::size_t size) noexcept {
    thread_cache& mine = cache;
    count(mine, -1);
    if (size > largest_pooled) [[unlikely]] {
        enroll(mine);
        ::operator delete(block);
        return;
    }
    free_list& list = mine.lists[class_of(size)];
    list.push(static_cast<free_block*>(block));
    if (list.count > cache_limit || !mine.enrolled || !pooling) [[unlikely]] {
        spill(mine, class_of(size));
    }
}

std::size_t frame_pool::live_frames() noexcept {
    depot& shared = the_depot();
    std::scoped_lock const lock(shared.mutex);
    std::ptrdiff_t sum = shared.retired_balance;
    for (thread_cache const* each = shared.caches; each != nullptr; each = each->next) {
        // relaxed: count — exact only when the other threads rest
        sum += each->balance.load(relaxed);
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
    thread_cache& mine = cache;
    for (free_list& each : mine.lists) {
        each.release_all();
    }
    depot& shared = the_depot();
    std::scoped_lock const lock(shared.mutex);
    for (free_list& each : shared.lists) {
        each.release_all();
    }
}

}  // namespace weft::detail
