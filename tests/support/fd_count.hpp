#pragma once

#include <cstddef>
#include <filesystem>

namespace weft::test {

/// How many file descriptors this process has open. Equal before and after means that none leaked,
/// provided no other thread opens or closes any meanwhile.
[[nodiscard]] inline std::size_t fd_count() {
    std::size_t count = 0;
    for ([[maybe_unused]] auto const& each : std::filesystem::directory_iterator("/proc/self/fd")) {
        ++count;
    }
    return count - 1;  // without the one that reads the directory
}

}  // namespace weft::test
