#pragma once

/// Compiler, sanitizer and platform facts. Macros are spelled WEFT_… and live only in this folder.

#include <cstddef>

#if !defined(__linux__)
#error "weft needs Linux: it waits in io_uring or epoll"
#endif

#if __cplusplus < 202002L
#error "weft needs C++20: build with -std=c++20 or a later standard"
#endif

#if !defined(__cpp_exceptions)
#error "weft needs exceptions: build without -fno-exceptions"
#endif

#if defined(__SANITIZE_ADDRESS__)
#define WEFT_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WEFT_ASAN 1
#endif
#endif

#if defined(__SANITIZE_THREAD__)
#define WEFT_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define WEFT_TSAN 1
#endif
#endif

#if !defined(WEFT_ASAN)
#define WEFT_ASAN 0
#endif
#if !defined(WEFT_TSAN)
#define WEFT_TSAN 0
#endif

/// A class that is passed in a register although its copy is not trivial. Only clang can, so a
/// library built by clang and a program built by another compiler would not understand each other.
#if defined(__clang__)
#define WEFT_TRIVIAL_ABI [[clang::trivial_abi]]
#else
#define WEFT_TRIVIAL_ABI
#endif

#if defined(WEFT_BUILT_BY_CLANG)
#if WEFT_BUILT_BY_CLANG && !defined(__clang__)
#error "this weft was built by clang, which passes tasks differently: build both by one compiler"
#elif !WEFT_BUILT_BY_CLANG && defined(__clang__)
#error \
    "this weft was not built by clang, which passes tasks differently: build both by one compiler"
#endif
#endif

/// What is returned refers to this argument: clang warns where it outlives a temporary.
#if defined(__clang__)
#define WEFT_LIFETIMEBOUND [[clang::lifetimebound]]
#else
#define WEFT_LIFETIMEBOUND
#endif

/// A thread_local that is reached by an offset instead of a call, in position-independent code too.
/// It takes its place in the static TLS block, of which a library loaded at run time may use
/// little.
#define WEFT_STATIC_TLS [[gnu::tls_model("initial-exec")]]

#define WEFT_NOINLINE [[gnu::noinline]]
#define WEFT_COLD [[gnu::cold, gnu::noinline]]
/// A rare call out of a hot function, for which the hot function need not save registers.
#if defined(__clang__) && defined(__x86_64__)
#define WEFT_SPARES_REGISTERS [[clang::preserve_most]]
#else
#define WEFT_SPARES_REGISTERS
#endif

#define WEFT_ALWAYS_INLINE [[gnu::always_inline]] inline

/// For an await_suspend that others may overtake. Inlined where compilers keep its locals out of
/// the coroutine's frame, which may be gone by then.
#if defined(__clang_major__) && __clang_major__ >= 19
#define WEFT_INLINE_SUSPENSION WEFT_ALWAYS_INLINE
#else
#define WEFT_INLINE_SUSPENSION WEFT_NOINLINE
#endif

namespace weft::detail {

/// Whether the compiler tells operator new a coroutine frame's alignment.
#if defined(__clang__)
inline constexpr bool frame_alignment_is_told = true;
#else
inline constexpr bool frame_alignment_is_told = false;
#endif

/// Distance that keeps two atomics written by different threads from sharing a line.
/// (std::hardware_destructive_interference_size is not ABI-stable, so it is not used.)
inline constexpr std::size_t cache_line = 64;

/// True when a sanitizer that tracks synchronisation is compiled in: it cannot see fences, so code
/// with asymmetric fences falls back to orderings on the atomics themselves.
inline constexpr bool tsan_enabled = WEFT_TSAN != 0;
inline constexpr bool asan_enabled = WEFT_ASAN != 0;

}  // namespace weft::detail
