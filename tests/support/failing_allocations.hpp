#pragma once

/// Makes one allocation of a test program fail: the one with a given number, on whatever thread. It
/// replaces the global operator new, so one source of a program includes it. ThreadSanitizer's
/// cannot be replaced: a program leaves the cases out there. The operators are not inlined: g++
/// would take malloc and operator delete for a pair that does not match.

#include <weft/runtime/base/config.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

namespace weft::test {

/// Allocations until one fails; 0: none does.
inline std::atomic<std::size_t> allocations_to_failure{0};
inline std::atomic<std::ptrdiff_t> live_allocations{0};

[[nodiscard]] inline bool is_to_fail() noexcept {
    std::size_t left = allocations_to_failure;
    while (left != 0) {
        if (allocations_to_failure.compare_exchange_weak(left, left - 1)) {
            return left == 1;
        }
    }
    return false;
}

[[nodiscard]] inline void* allocate_or_fail(std::size_t size, std::size_t alignment) {
    if (!is_to_fail()) {
        if (void* const block =
                std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
            block != nullptr) {
            ++live_allocations;
            return block;
        }
    }
    throw std::bad_alloc();
}

inline void give_back(void* block) noexcept {
    live_allocations -= block != nullptr ? 1 : 0;
    std::free(block);
}

/// Lets the first, second, third … allocation of `make()` fail until it succeeds, and gives the
/// number of failures. What fails throws std::bad_alloc and leaves no memory behind.
template <class Make>
std::size_t fail_each_allocation(Make make) {
    constexpr std::size_t allocations_max = 10'000;
    make();  // what is made once in a process is there
    for (std::size_t failing = 1; failing < allocations_max; ++failing) {
        CAPTURE(failing);
        std::ptrdiff_t const before = live_allocations;
        bool has_failed = false;
        allocations_to_failure = failing;
        try {
            make();
        } catch (std::bad_alloc const&) {
            has_failed = true;
        }
        if (allocations_to_failure.exchange(0) != 0) {
            return failing - 1;
        }
        CHECK(has_failed);
        CHECK(live_allocations == before);
    }
    FAIL_CHECK("there is no end of allocations");
    return 0;
}

}  // namespace weft::test

#if !WEFT_TSAN
WEFT_NOINLINE void* operator new(std::size_t size) {
    return weft::test::allocate_or_fail(size, __STDCPP_DEFAULT_NEW_ALIGNMENT__);
}

WEFT_NOINLINE void* operator new(std::size_t size, std::align_val_t alignment) {
    return weft::test::allocate_or_fail(size, static_cast<std::size_t>(alignment));
}

WEFT_NOINLINE void operator delete(void* block) noexcept {
    weft::test::give_back(block);
}

WEFT_NOINLINE void operator delete(void* block, std::size_t) noexcept {
    weft::test::give_back(block);
}

WEFT_NOINLINE void operator delete(void* block, std::align_val_t) noexcept {
    weft::test::give_back(block);
}

WEFT_NOINLINE void operator delete(void* block, std::size_t, std::align_val_t) noexcept {
    weft::test::give_back(block);
}
#endif
