#pragma once

/// Counts how often a test program asks for memory. It replaces the global operator new, so one
/// source of a program includes it. The sanitizers have an operator of their own, and frames come
/// straight from the heap there: nothing is counted then.

#include <weft/runtime/base/config.hpp>

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

namespace weft::test {

inline std::atomic<std::size_t> allocations{0};

}  // namespace weft::test

#if !WEFT_ASAN && !WEFT_TSAN
void* operator new(std::size_t size) {
    ++weft::test::allocations;
    if (void* const block = std::malloc(size); block != nullptr) {
        return block;
    }
    throw std::bad_alloc();
}

void operator delete(void* block) noexcept {
    std::free(block);
}

void operator delete(void* block, std::size_t) noexcept {
    std::free(block);
}
#endif
