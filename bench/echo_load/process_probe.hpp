#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include <sys/types.h>

namespace echo_load {

struct process_memory {
    std::uint64_t resident_bytes = 0;
    std::uint64_t anonymous_bytes = 0;
};

/// CPU time, user and system, of all threads of a process that are or were; to the nanosecond.
///
/// `pid` 0 is this process. Empty if there is no such process.
std::optional<std::chrono::nanoseconds> cpu_time(::pid_t pid) noexcept;

/// Memory of a process: exact from smaps_rollup, or where that may not be read, from status.
std::optional<process_memory> memory(::pid_t pid);

/// The same once two readings in a row agree: a server may still be accepting.
std::optional<process_memory> settled_memory(::pid_t pid);

}  // namespace echo_load
