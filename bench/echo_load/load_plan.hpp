#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace echo_load {

using clock = std::chrono::steady_clock;

/// What all threads do, and when. Constant while they run.
struct load_plan {
    std::size_t connections = 0;  // of all threads
    std::size_t pipeline = 1;
    std::size_t message_size = 0;
    bool verify = true;
    double requests_per_second = 0;  // 0: closed loop

    clock::time_point start;         // first request
    clock::time_point window_begin;  // from here on completed requests count
    clock::time_point window_end;    // no request starts later
    clock::time_point drain_end;     // later replies are not waited for

    bool is_open_loop() const noexcept { return requests_per_second > 0; }

    /// When an open loop's request is due: connections take turns, so request `round` of connection
    /// `number` is the (round * connections + number)th of all.
    clock::time_point due(std::uint64_t round, std::size_t number) const noexcept {
        auto const position = static_cast<double>(round) * static_cast<double>(connections) +
                              static_cast<double>(number);
        auto const nanoseconds = position * 1e9 / requests_per_second;
        return start + std::chrono::nanoseconds(static_cast<std::int64_t>(nanoseconds));
    }
};

}  // namespace echo_load
