#pragma once

/// Sees that every program ends, and tells which one it was when the process dies.

#include <weft/tests/fuzz/account.hpp>
#include <weft/tests/fuzz/program.hpp>

#include <string>

namespace weft::fuzz {

/// The line that repeats the present program. Called by the main thread.
void set_present_program(std::string const& how_to_repeat);

/// While it lives: a run that takes too long ends the process, with the tree and with who is
/// alive. So does a signal of a failed check, without the latter.
class watch_over {
public:
    watch_over(node const& root, account& book);
    watch_over(watch_over const&) = delete;
    watch_over& operator=(watch_over const&) = delete;
    ~watch_over();
};

/// What the process exits with when a program hangs.
inline constexpr int exit_hang = 3;

}  // namespace weft::fuzz
