#pragma once

#include <string>

namespace weft::fuzz {

/// Cuts the tree of a program that fails for as long as it goes on failing, each try in a process
/// of its own, and prints what is left. `command` repeats the program; real time is given
/// `tries` runs to fail in. Gives the exit code of this process.
int shrink(std::string const& own_path, std::string const& command, unsigned tries);

}  // namespace weft::fuzz
