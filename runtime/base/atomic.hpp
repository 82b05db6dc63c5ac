#pragma once

/// The one switch point for atomics: every atomic of the library is a `detail::atomic<T>` and every
/// fence one of the functions below, so that a sanitizer build or a model checker can put its own
/// in their place. WEFT_ATOMICS_REPLACED tells that a header which was included before defines all
/// of it instead, the asymmetric fences included.

#include <weft/runtime/base/config.hpp>

#if !defined(WEFT_ATOMICS_REPLACED)

#include <atomic>

namespace weft::detail {

template <class T>
using atomic = std::atomic<T>;

inline constexpr std::memory_order relaxed = std::memory_order_relaxed;
inline constexpr std::memory_order acquire = std::memory_order_acquire;
inline constexpr std::memory_order release = std::memory_order_release;
inline constexpr std::memory_order acq_rel = std::memory_order_acq_rel;
inline constexpr std::memory_order seq_cst = std::memory_order_seq_cst;

/// Keeps the compiler from moving memory accesses across this point; emits no instruction.
WEFT_ALWAYS_INLINE void compiler_fence() noexcept {
    std::atomic_signal_fence(std::memory_order_seq_cst);
}

/// Full fence. ThreadSanitizer does not model fences, so its builds use a read-modify-write of one
/// process-wide word, which it does model (and which orders at least as much).
#if WEFT_TSAN
inline atomic<int> tsan_fence_word{0};

inline void fence_seq_cst() noexcept {
    tsan_fence_word.fetch_add(0, std::memory_order_seq_cst);
}
#else
WEFT_ALWAYS_INLINE void fence_seq_cst() noexcept {
    std::atomic_thread_fence(std::memory_order_seq_cst);
}
#endif

/// Hint to the processor inside a spin loop.
WEFT_ALWAYS_INLINE void cpu_relax() noexcept {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield" ::: "memory");
#else
    compiler_fence();
#endif
}

}  // namespace weft::detail

#endif
