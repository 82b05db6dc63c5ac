#pragma once

/// The switch point of the system calls that the runtime makes for tasks: the clock, entropy and
/// descriptors. As with atomic.hpp, a build of its own can put something else in their place:
/// WEFT_SYS_REPLACED tells that a header which was included before defines all of it, and all of
/// io/sys/sys.hpp, instead. A call gives its result, or -errno, and leaves errno as it likes.

#include <weft/runtime/base/config.hpp>

#if !defined(WEFT_SYS_REPLACED)

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <ctime>

#include <fcntl.h>
#include <sys/random.h>
#include <sys/types.h>
#include <unistd.h>

namespace weft::detail::sys {

/// What a call that tells of errors by errno has answered.
[[nodiscard]] WEFT_ALWAYS_INLINE int answer_of(::ssize_t result) noexcept {
    return result >= 0 ? static_cast<int>(result) : -errno;
}

/// CLOCK_MONOTONIC in nanoseconds.
[[nodiscard]] inline std::uint64_t monotonic_ns() noexcept {
    ::timespec time{};
    ::clock_gettime(CLOCK_MONOTONIC, &time);
    return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000U +
           static_cast<std::uint64_t>(time.tv_nsec);
}

/// CLOCK_REALTIME in nanoseconds.
[[nodiscard]] inline std::uint64_t real_time_ns() noexcept {
    ::timespec time{};
    ::clock_gettime(CLOCK_REALTIME, &time);
    return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000U +
           static_cast<std::uint64_t>(time.tv_nsec);
}

/// How many random bytes were written; never waits for entropy.
[[nodiscard]] inline int random_bytes(void* into, std::size_t count) noexcept {
    return answer_of(::getrandom(into, count, GRND_NONBLOCK));
}

[[nodiscard]] inline int close(int fd) noexcept {
    return answer_of(::close(fd));
}

/// A second descriptor of the same open file, close-on-exec.
[[nodiscard]] inline int duplicate(int fd) noexcept {
    return answer_of(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
}

}  // namespace weft::detail::sys

#endif
