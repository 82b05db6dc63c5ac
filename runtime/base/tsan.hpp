#pragma once

/// Happens-before edges that ThreadSanitizer cannot see, because the hand-over goes through the
/// kernel (an SQE and its CQE, an eventfd). `tsan_release(p)` before the hand-over,
/// `tsan_acquire(p)` after it. Nothing elsewhere.

#include <weft/runtime/base/config.hpp>

#if WEFT_TSAN
extern "C" void __tsan_acquire(void* address);
extern "C" void __tsan_release(void* address);
#endif

namespace weft::detail {

#if WEFT_TSAN
inline void tsan_acquire(void* address) noexcept {
    ::__tsan_acquire(address);
}

inline void tsan_release(void* address) noexcept {
    ::__tsan_release(address);
}
#else
inline void tsan_acquire(void*) noexcept {}

inline void tsan_release(void*) noexcept {}
#endif

}  // namespace weft::detail
