#pragma once

/// A jump of Boost.Context that processors foretell well.
///
/// A processor foretells where a function returns to by the calls that it has seen. Each jump that
/// is made by a call leaves one behind that never returns, and the next returns on the other stack
/// are foretold wrong, which costs as much as the jump itself. So where the compiler can be told,
/// the place behind the jump is pushed, and the jump is none of a call.

#include <weft/runtime/base/config.hpp>

namespace weft::detail {

/// Where the side was left that has switched to this one, and what it gave with it; laid out as
/// Boost.Context does.
struct switched {
    void* left_at;
    void* data;
};

/// boost::context::detail::jump_fcontext, as the sources that include Boost.Context name it.
using jump_function = switched (*)(void* target, void* data);

/// Leaves what runs here for `target`; goes on when something jumps back.
WEFT_ALWAYS_INLINE switched jump(jump_function by, void* target, void* data) noexcept {
#if defined(__x86_64__) && !WEFT_ASAN && !WEFT_TSAN
    switched here;
    // 128: the bytes below the stack pointer that the function may use. What a call would save is
    // clobbered.
    asm volatile(
        "leaq -128(%%rsp), %%rsp\n\t"
        "leaq 1f(%%rip), %%rax\n\t"
        "pushq %%rax\n\t"
        "jmpq *%%rcx\n"
        "1:\n\t"
        "leaq 128(%%rsp), %%rsp"
        : "=a"(here.left_at), "=d"(here.data), "+D"(target), "+S"(data), "+c"(by)
        :
        : "r8",
          "r9",
          "r10",
          "r11",
          "cc",
          "memory",
          "xmm0",
          "xmm1",
          "xmm2",
          "xmm3",
          "xmm4",
          "xmm5",
          "xmm6",
          "xmm7",
          "xmm8",
          "xmm9",
          "xmm10",
          "xmm11",
          "xmm12",
          "xmm13",
          "xmm14",
          "xmm15"
#if defined(__AVX512F__)
          ,
          "xmm16",
          "xmm17",
          "xmm18",
          "xmm19",
          "xmm20",
          "xmm21",
          "xmm22",
          "xmm23",
          "xmm24",
          "xmm25",
          "xmm26",
          "xmm27",
          "xmm28",
          "xmm29",
          "xmm30",
          "xmm31",
          "k1",
          "k2",
          "k3",
          "k4",
          "k5",
          "k6",
          "k7"
#endif
    );
    return here;
#else
    return by(target, data);
#endif
}

}  // namespace weft::detail
