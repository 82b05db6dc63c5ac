#include <weft/runtime/fiber/detail/fiber_stack.hpp>

#include <weft/runtime/base/mutex.hpp>
#include <weft/runtime/fiber/detail/switch_marks.hpp>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>
#include <system_error>

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

namespace weft::detail {

namespace {

/// MADV_GUARD_INSTALL, which the C library's headers do not have yet.
constexpr int advice_guard_install = 102;

/// More than a page: a frame that is not larger does not reach beyond it.
constexpr std::size_t guard_min = std::size_t{16} * 1024;

constexpr std::size_t class_count =
    static_cast<std::size_t>(std::countr_zero(fiber_stack::size_max) -
                             std::countr_zero(fiber_stack::size_min)) +
    3;  // times `scale`

/// Lies in the highest bytes of a stack that nobody has.
struct free_stack {
    free_stack* next;
};

struct stack_pool {
    mutex lock;
    free_stack* lists[class_count] = {};
    std::size_t bytes = 0;

    /// Under the lock.
    void put(std::byte* bottom, std::size_t size) noexcept;
};

void before_fork() noexcept;
void after_fork() noexcept;

/// Never destroyed: threads may outlive every static object.
stack_pool& the_pool() noexcept {
    alignas(stack_pool) static unsigned char place[sizeof(stack_pool)];
    static stack_pool* const made = [] {
        auto* const pool = ::new (static_cast<void*>(place)) stack_pool;
        // For want of memory only, and then children of fork are not helped.
        (void)::pthread_atfork(&before_fork, &after_fork, &after_fork);
        return pool;
    }();
    return *made;
}

/// A child of fork finds the pool whole; its stacks were copied as they are, with their guards.
void before_fork() noexcept {
    the_pool().lock.lock();
}

void after_fork() noexcept {
    the_pool().lock.unlock();
}

std::size_t guard_size() noexcept {
    static std::size_t const size =
        std::max(guard_min, static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)));
    return size;
}

std::size_t class_of(std::size_t size) noexcept {
    return static_cast<std::size_t>(std::countr_zero(size) -
                                    std::countr_zero(fiber_stack::size_min));
}

std::size_t rounded(std::size_t size) noexcept {
    auto const page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    return std::bit_ceil(std::max(size * fiber_stack::scale, page));
}

free_stack* node_of(std::byte* bottom, std::size_t size) noexcept {
    return reinterpret_cast<free_stack*>(bottom + size - sizeof(free_stack));
}

void stack_pool::put(std::byte* bottom, std::size_t size) noexcept {
    free_stack* const node = node_of(bottom, size);
    node->next = std::exchange(lists[class_of(size)], node);
    bytes += size;
}

std::byte* bottom_of(free_stack* node, std::size_t size) noexcept {
    return reinterpret_cast<std::byte*>(node) + sizeof(free_stack) - size;
}

[[noreturn]] void refuse(int error, char const* act, std::size_t size) {
    throw std::system_error(error,
                            std::system_category(),
                            std::string(act) + " of a fiber's stack of " + std::to_string(size) +
                                " bytes (ENOMEM also means that the process has as many mappings "
                                "as vm.max_map_count allows)");
}

bool installs_guards() noexcept {
    static bool const installs = [] {
        char const* const value = std::getenv("WEFT_GUARD_INSTALL");
        return value == nullptr || std::strcmp(value, "0") != 0;
    }();
    return installs;
}

/// keeps I1
std::byte* map_guarded(std::size_t size) {
    std::size_t const whole = guard_size() + size;
    void* const mapped = ::mmap(nullptr,
                                whole,
                                PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK,
                                -1,
                                0);
    if (mapped == MAP_FAILED) {
        refuse(errno, "mmap", size);
    }
    // Refused by old kernels, and for locked memory by all of them.
    bool const is_guarded =
        (installs_guards() && ::madvise(mapped, guard_size(), advice_guard_install) == 0) ||
        ::mprotect(mapped, guard_size(), PROT_NONE) == 0;
    if (!is_guarded) {
        int const error = errno;
        (void)::munmap(mapped, whole);
        refuse(error, "mprotect of the guard", size);
    }
    return static_cast<std::byte*>(mapped) + guard_size();
}

bool unmap(std::byte* bottom, std::size_t size) noexcept {
    return ::munmap(bottom - guard_size(), guard_size() + size) == 0;
}

}  // namespace

fiber_stack::fiber_stack(std::size_t size) : size_(rounded(size)) {
    stack_pool& pool = the_pool();
    {
        scoped_lock const lock(pool.lock);
        free_stack*& list = pool.lists[class_of(size_)];
        if (list != nullptr) {
            bottom_ = bottom_of(list, size_);
            list = list->next;
            pool.bytes -= size_;
            return;
        }
    }
    bottom_ = map_guarded(size_);
}

void fiber_stack::give_back() noexcept {
    forget_marks(bottom_, size_);
    stack_pool& pool = the_pool();
    {
        scoped_lock const lock(pool.lock);
        if (pool.bytes + size_ <= pooled_max) {
            pool.put(bottom_, size_);  // keeps I3: under the lock of the question
            return;
        }
    }
    if (!unmap(bottom_, size_)) {
        scoped_lock const lock(pool.lock);
        pool.put(bottom_, size_);
    }
}

bool fiber_stack::guards(void const* address) const noexcept {
    auto const at = reinterpret_cast<std::uintptr_t>(address);
    auto const bottom = reinterpret_cast<std::uintptr_t>(bottom_);
    return at < bottom && at >= bottom - guard_size();
}

std::size_t fiber_stack::pooled_bytes() noexcept {
    stack_pool& pool = the_pool();
    scoped_lock const lock(pool.lock);
    return pool.bytes;
}

void fiber_stack::trim() noexcept {
    stack_pool& pool = the_pool();
    scoped_lock const lock(pool.lock);
    for (std::size_t i = 0; i < class_count; ++i) {
        std::size_t const size = size_min << i;
        free_stack* left = nullptr;
        while (pool.lists[i] != nullptr) {
            free_stack* const node = pool.lists[i];
            pool.lists[i] = node->next;
            if (unmap(bottom_of(node, size), size)) {
                pool.bytes -= size;
            } else {
                node->next = std::exchange(left, node);
            }
        }
        pool.lists[i] = left;
    }
}

}  // namespace weft::detail
