#pragma once

/// What the sanitizers are told of a switch between stacks. Nothing elsewhere.
///
/// AddressSanitizer: leave() before the jump, on the stack that is left; arrive() behind it, first
/// of all, on the stack that is entered. ThreadSanitizer: name_next() right before the jump, in the
/// function that jumps: nothing that it watches may lie between, the return of a function neither,
/// so all of this is inlined. For sources only: what is declared here may clash with the headers of
/// the sanitizers.

#include <weft/runtime/base/config.hpp>
#include <weft/runtime/fiber/detail/fiber_core.hpp>

#include <cstddef>

#if WEFT_ASAN
extern "C" void __sanitizer_start_switch_fiber(void** fake_stack_save,
                                               void const* bottom,
                                               std::size_t size);
extern "C" void __sanitizer_finish_switch_fiber(void* fake_stack_save,
                                                void const** bottom_old,
                                                std::size_t* size_old);
extern "C" void __asan_unpoison_memory_region(void const* address, std::size_t size);
#endif

#if WEFT_TSAN
extern "C" void* __tsan_get_current_fiber();
extern "C" void* __tsan_create_fiber(unsigned flags);
extern "C" void __tsan_destroy_fiber(void* fiber);
extern "C" void __tsan_switch_to_fiber(void* fiber, unsigned flags);
#endif

namespace weft::detail {

/// The memory of a stack on which nobody runs may be used for anything.
WEFT_ALWAYS_INLINE void forget_marks([[maybe_unused]] void* bottom,
                                     [[maybe_unused]] std::size_t size) noexcept {
#if WEFT_ASAN
    ::__asan_unpoison_memory_region(bottom, size);
#endif
}

/// `from` is left for `to`.
WEFT_ALWAYS_INLINE void leave([[maybe_unused]] switch_side& from,
                              [[maybe_unused]] switch_side const& to) noexcept {
#if WEFT_ASAN
    ::__sanitizer_start_switch_fiber(&from.fake_stack, to.bottom, to.size);
#endif
}

/// What runs here is left for good.
WEFT_ALWAYS_INLINE void leave_for_good([[maybe_unused]] switch_side const& to) noexcept {
#if WEFT_ASAN
    ::__sanitizer_start_switch_fiber(nullptr, to.bottom, to.size);
#endif
}

/// `at` is entered.
WEFT_ALWAYS_INLINE void arrive([[maybe_unused]] switch_side& at) noexcept {
#if WEFT_ASAN
    ::__sanitizer_finish_switch_fiber(at.fake_stack, nullptr, nullptr);
#endif
}

/// The same; where `from` lies, which was left, is kept in it.
WEFT_ALWAYS_INLINE void arrive([[maybe_unused]] switch_side& at,
                               [[maybe_unused]] switch_side& from) noexcept {
#if WEFT_ASAN
    ::__sanitizer_finish_switch_fiber(at.fake_stack, &from.bottom, &from.size);
#endif
}

WEFT_ALWAYS_INLINE void name_next([[maybe_unused]] switch_side const& side) noexcept {
#if WEFT_TSAN
    ::__tsan_switch_to_fiber(side.known_as, 0);
#endif
}

/// `side` is what runs here.
WEFT_ALWAYS_INLINE void name_this([[maybe_unused]] switch_side& side) noexcept {
#if WEFT_TSAN
    side.known_as = ::__tsan_get_current_fiber();
#endif
}

/// Before the first switch to `side`, and after the last one from it.
WEFT_ALWAYS_INLINE void make_name([[maybe_unused]] switch_side& side) noexcept {
#if WEFT_TSAN
    side.known_as = ::__tsan_create_fiber(0);
#endif
}

WEFT_ALWAYS_INLINE void drop_name([[maybe_unused]] switch_side& side) noexcept {
#if WEFT_TSAN
    ::__tsan_destroy_fiber(side.known_as);
#endif
}

}  // namespace weft::detail
