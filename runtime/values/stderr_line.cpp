#include <weft/runtime/values/stderr_line.hpp>

#include <weft/runtime/base/atomic.hpp>

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <ctime>

#include <poll.h>
#include <sys/uio.h>
#include <unistd.h>

namespace weft {

namespace detail {

namespace {

/// Less than what a pipe takes in one piece.
constexpr std::size_t length_max = 1024;

/// Nanoseconds.
constexpr std::uint64_t interval = 100'000'000;
constexpr std::uint64_t burst = 32;

/// Written by everybody who writes a line: when the next one would be due if they came evenly.
atomic<std::uint64_t> next_due{0};
/// Written by everybody who drops a line: all of them, and those that no line has told of.
atomic<std::uint64_t> dropped{0};
atomic<std::uint64_t> untold{0};
/// Written by who writes without the kernel's promise not to wait (I1).
atomic<bool> is_writing{false};

[[nodiscard]] std::uint64_t now() noexcept {
    ::timespec time{};
    ::clock_gettime(CLOCK_MONOTONIC_COARSE, &time);
    return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000U +
           static_cast<std::uint64_t>(time.tv_nsec);
}

[[nodiscard]] bool is_due() noexcept {
    std::uint64_t const time = now();
    // relaxed: hint — the exchange below decides
    std::uint64_t due = next_due.load(relaxed);
    for (;;) {
        std::uint64_t const base = due > time ? due : time;
        if (base - time > (burst - 1) * interval) {
            return false;
        }
        // relaxed: claim a place; nothing is passed on with it. The loser looks again.
        if (next_due.compare_exchange_weak(due, base + interval, relaxed, relaxed)) {
            return true;
        }
    }
}

[[nodiscard]] bool write_if_room(char const* line, std::size_t length) noexcept {
    // acquire: claim the right to write (I1); pairs with the release below
    if (is_writing.exchange(true, acquire)) {
        return false;
    }
    ::pollfd asked{STDERR_FILENO, POLLOUT, 0};
    bool const has_room = ::poll(&asked, 1, 0) == 1 && (asked.revents & POLLOUT) != 0;
    bool const written = has_room && ::write(STDERR_FILENO, line, length) > 0;
    // release: hand back the right; pairs with the acquire above
    is_writing.store(false, release);
    return written;
}

[[nodiscard]] bool write_at_once(char const* line, std::size_t length) noexcept {
    ::iovec const part{const_cast<char*>(line), length};
    ::ssize_t const written = ::pwritev2(STDERR_FILENO, &part, 1, -1, RWF_NOWAIT);
    if (written >= 0) {
        return true;
    }
    return errno == EAGAIN ? false : write_if_room(line, length);
}

}  // namespace

void write_stderr_line(char const* head, char const* tail) noexcept {
    // relaxed: claim what has to be told; only the number counts
    std::uint64_t const missing = untold.exchange(0, relaxed);
    char line[length_max];
    int length = 0;
    if (missing != 0) {
        length = std::snprintf(line,
                               sizeof line,
                               "weft: (%llu lines before this one were dropped)\n",
                               static_cast<unsigned long long>(missing));
    }
    auto const used = static_cast<std::size_t>(length);
    length += std::snprintf(line + used, sizeof line - used, "weft: %s%s\n", head, tail);
    auto total = static_cast<std::size_t>(length);
    if (total >= sizeof line) {
        total = sizeof line;
        line[total - 1] = '\n';
    }
    if (is_due() && write_at_once(line, total)) {
        return;
    }
    // relaxed: count — numbers for people
    untold.fetch_add(missing + 1, relaxed);
    dropped.fetch_add(1, relaxed);
}

}  // namespace detail

std::uint64_t stderr_lines_dropped() noexcept {
    // relaxed: count — as above
    return detail::dropped.load(detail::relaxed);
}

}  // namespace weft
