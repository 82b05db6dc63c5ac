#pragma once

/// Counts how often a test program asks for memory, and gives some back. It replaces the global
/// operator new, so one source of a program includes it. The sanitizers have an operator of their
/// own, and frames come straight from the heap there: nothing is counted then. The operators are
/// not inlined: g++ would take malloc and operator delete for a pair that does not match.

#include <weft/runtime/base/config.hpp>

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

namespace weft::test {

inline std::atomic<std::size_t> allocations{0};
inline std::atomic<std::size_t> releases{0};

}  // namespace weft::test

#if !WEFT_ASAN && !WEFT_TSAN
WEFT_NOINLINE void* operator new(std::size_t size) {
    ++weft::test::allocations;
    if (void* const block = std::malloc(size); block != nullptr) {
        return block;
    }
    throw std::bad_alloc();
}

WEFT_NOINLINE void* operator new(std::size_t size, std::align_val_t alignment) {
    ++weft::test::allocations;
    auto const unit = static_cast<std::size_t>(alignment);
    if (void* const block = std::aligned_alloc(unit, (size + unit - 1) / unit * unit);
        block != nullptr) {
        return block;
    }
    throw std::bad_alloc();
}

WEFT_NOINLINE void operator delete(void* block) noexcept {
    weft::test::releases += block != nullptr ? 1 : 0;
    std::free(block);
}

WEFT_NOINLINE void operator delete(void* block, std::size_t) noexcept {
    ::operator delete(block);
}

WEFT_NOINLINE void operator delete(void* block, std::align_val_t) noexcept {
    ::operator delete(block);
}

WEFT_NOINLINE void operator delete(void* block, std::size_t, std::align_val_t) noexcept {
    ::operator delete(block);
}
#endif
