#pragma once

/// A pair of fences whose cost lies on one side.
///
/// Protocol (Dekker): the frequent side does `store A; fence_light(); load B`, the rare side does
/// `store B; fence_heavy(); load A`. At least one of the two loads sees the other side's store.
///
/// With membarrier(2) the light side is a compiler fence and no instruction, and the heavy side
/// makes every running thread of the process execute a full fence. Where the kernel refuses
/// membarrier (old kernels, seccomp) both sides are full fences, decided once before the first use.
/// ThreadSanitizer builds always use full fences.

#include <weft/runtime/base/atomic.hpp>

#if !defined(WEFT_ATOMICS_REPLACED)

namespace weft::detail {

/// Registers the process for expedited membarriers, once. True when the light side costs nothing
/// from now on. Called before any thread that uses either side starts; later calls are cheap and
/// return the same answer.
bool init_asymmetric_fence() noexcept;

/// Full fence on the calling thread, and on every other running thread of the process.
void fence_heavy() noexcept;

/// Written once by init_asymmetric_fence() before workers start, read by everybody;
/// zero-initialised to the portable choice, so that code which runs before (or without) the
/// initialisation is slow and correct.
extern atomic<bool> light_fence_is_free;

/// The cheap side.
WEFT_ALWAYS_INLINE void fence_light() noexcept {
    // relaxed: hint — the flag only ever goes from false to true, and it does so while no two sides
    // are at work
    if (light_fence_is_free.load(relaxed)) [[likely]] {
        compiler_fence();
    } else {
        fence_seq_cst();
    }
}

}  // namespace weft::detail

#endif
