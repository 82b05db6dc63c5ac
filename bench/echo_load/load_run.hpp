#pragma once

#include <weft/bench/echo_load/file_descriptor.hpp>
#include <weft/bench/echo_load/load_worker.hpp>
#include <weft/bench/echo_load/options.hpp>

#include <optional>
#include <vector>

namespace echo_load {

/// The work of all threads together, inside the measured window.
struct load_summary {
    load_result total;
    double window_seconds = 0;
    double load_cpu_seconds = 0;
    std::optional<double> server_cpu_seconds;  // empty if the server is unknown or gone

    double requests_per_second() const noexcept;
};

/// Drives the connections through warm-up, window and drain.
load_summary run_load(options const& chosen, std::vector<file_descriptor> sockets);

}  // namespace echo_load
