#pragma once

/// What the library says on stderr while the program goes on.
///
/// Protocol. A line is written if stderr takes it at once, and if not too many were written lately:
/// `burst` at once, one more each `interval`. Else it is counted, and the next line that is written
/// tells how many are missing. A worker never waits for whoever reads stderr.
/// I1 The write itself cannot wait: the kernel is asked not to. Where it cannot be asked so (pipes
///    of old kernels, terminals), one thread at a time asks whether there is room, and writes no
///    more than a pipe takes in one piece then: only another process can take the room in between.

#include <cstdint>

namespace weft {

/// How many lines for stderr the library has dropped in this process, because nobody read them or
/// there were too many. See runtime_base for which lines there are.
///
/// Thread safety: any thread.
/// Cancellation: never suspends.
/// Complexity: O(1).
/// Errors: none.
[[nodiscard]] std::uint64_t stderr_lines_dropped() noexcept;

namespace detail {

/// Any thread. Writes "weft: HEAD TAIL", cut at the length of a long line, and never waits.
void write_stderr_line(char const* head, char const* tail = "") noexcept;

}  // namespace detail

}  // namespace weft
