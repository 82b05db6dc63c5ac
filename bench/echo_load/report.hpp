#pragma once

#include <weft/bench/echo_load/load_run.hpp>
#include <weft/bench/echo_load/options.hpp>
#include <weft/bench/echo_load/process_probe.hpp>

#include <cstdint>
#include <optional>

namespace echo_load {

/// The server's memory without and with the idle connections.
struct idle_growth {
    process_memory before;
    process_memory after;
};

struct report {
    load_summary load;
    std::optional<idle_growth> idle;
    std::uint64_t idle_lost = 0;

    std::uint64_t errors() const noexcept;
};

void print_table(options const& chosen, report const& what);
void print_json(options const& chosen, report const& what);

}  // namespace echo_load
