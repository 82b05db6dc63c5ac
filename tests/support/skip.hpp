#pragma once

/// Skipping: a test that cannot run here says why, and its program ends with the code that Meson
/// shows as skipped.

#include <doctest/doctest.h>

namespace weft::test {

/// Exit code of a program with a skipped case and no failed one: what was not run never counts as
/// passed.
inline constexpr int exit_skipped = 77;

/// Records that the running test case could not be run, and prints why. Called through WEFT_SKIP.
void note_skip(char const* file, int line, char const* why);

/// True once a test case of this program was skipped.
[[nodiscard]] bool any_skipped() noexcept;

}  // namespace weft::test

/// Leaves the running test case as skipped.
#define WEFT_SKIP(why)                                    \
    do {                                                  \
        ::weft::test::note_skip(__FILE__, __LINE__, why); \
        return;                                           \
    } while (false)
