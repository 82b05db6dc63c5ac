#include <weft/bench/echo_load/process_probe.hpp>

#include <fstream>
#include <string>
#include <string_view>
#include <thread>

#include <time.h>

namespace echo_load {

namespace {

// The value, in bytes, of the line `key: N kB` in a file of /proc.
std::optional<std::uint64_t> kilobyte_line(std::string const& path, std::string_view key) {
    std::ifstream file(path);
    std::string word;
    while (file >> word) {
        if (word == key) {
            std::uint64_t kilobytes = 0;
            if (file >> kilobytes) {
                return kilobytes * 1024;
            }
            break;
        }
    }
    return std::nullopt;
}

std::optional<process_memory> memory_in(std::string const& path,
                                        std::string_view resident_key,
                                        std::string_view anonymous_key) {
    auto const resident = kilobyte_line(path, resident_key);
    auto const anonymous = kilobyte_line(path, anonymous_key);
    if (!resident || !anonymous) {
        return std::nullopt;
    }
    return process_memory{.resident_bytes = *resident, .anonymous_bytes = *anonymous};
}

}  // namespace

// The clock of a process sums the scheduler's own run times, finer than the ticks of
// /proc/PID/stat; unlike /proc/PID/task it keeps the share of threads that have ended.
std::optional<std::chrono::nanoseconds> cpu_time(::pid_t pid) noexcept {
    ::clockid_t clock{};
    ::timespec now{};
    if (::clock_getcpuclockid(pid, &clock) != 0 || ::clock_gettime(clock, &now) != 0) {
        return std::nullopt;
    }
    return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
}

std::optional<process_memory> memory(::pid_t pid) {
    auto const folder = "/proc/" + std::to_string(pid);
    auto const exact = memory_in(folder + "/smaps_rollup", "Rss:", "Anonymous:");
    return exact ? exact : memory_in(folder + "/status", "VmRSS:", "RssAnon:");
}

std::optional<process_memory> settled_memory(::pid_t pid) {
    constexpr auto pause = std::chrono::milliseconds(100);
    constexpr int attempts_max = 50;
    auto before = memory(pid);
    for (int attempt = 0; attempt < attempts_max && before; ++attempt) {
        std::this_thread::sleep_for(pause);
        auto const after = memory(pid);
        if (after && after->resident_bytes == before->resident_bytes) {
            return after;
        }
        before = after;
    }
    return before;
}

}  // namespace echo_load
