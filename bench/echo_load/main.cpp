// Load on a TCP echo server, whoever wrote it: nothing here uses weft.
//
//     echo_load --port 7777 --connections 64 --size 64 --server-pid $(pidof echo_server)
//     echo_load --port 7777 --connections 64 --rate 50000 --duration 10 --json
//     echo_load --port 7777 --connections 1 --idle 10000 --idle-memory --server-pid PID
//
// Closed loop: each reply starts the next request. Open loop (--rate): requests follow a schedule
// and their latency counts from it, so that a stalled server cannot hide the requests it held up.
// Only requests completed inside the measured window count; every echoed byte is compared. The exit
// status is 1 if a connection was lost, a byte was wrong or a request stayed unanswered. Would
// invalidate a result: a load generator that is the bottleneck ("load CPU cores" near --threads).

#include <weft/bench/echo_load/connector.hpp>
#include <weft/bench/echo_load/load_run.hpp>
#include <weft/bench/echo_load/options.hpp>
#include <weft/bench/echo_load/process_probe.hpp>
#include <weft/bench/echo_load/report.hpp>

#include <cstdio>
#include <exception>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace {

using namespace echo_load;

// Of the process itself: standard streams, an epoll for each thread, what the libraries open.
constexpr std::size_t other_descriptors = 16;

void check_descriptors(options const& chosen) {
    auto const limit = raise_descriptor_limit();
    auto const needed =
        chosen.connections + chosen.idle_connections + chosen.threads + other_descriptors;
    if (needed > limit) {
        throw std::runtime_error("needs " + std::to_string(needed) + " descriptors, the limit is " +
                                 std::to_string(limit));
    }
}

process_memory server_memory(options const& chosen) {
    auto const found = settled_memory(chosen.server_pid);
    if (!found) {
        throw std::runtime_error("cannot read the memory of process " +
                                 std::to_string(chosen.server_pid));
    }
    return *found;
}

std::vector<file_descriptor> open_idle(options const& chosen, connector& server, report& made) {
    if (!chosen.idle_memory) {
        return server.open_idle(chosen.idle_connections);
    }
    auto const before = server_memory(chosen);
    auto idle = server.open_idle(chosen.idle_connections);
    made.idle = idle_growth{.before = before, .after = server_memory(chosen)};
    return idle;
}

int run(options const& chosen) {
    check_descriptors(chosen);
    connector server(chosen.host, chosen.port, chosen.connect_timeout);
    report made;
    auto sockets = server.open(chosen.connections);
    auto const idle = open_idle(chosen, server, made);
    made.load = run_load(chosen, std::move(sockets));
    made.idle_lost = count_closed(idle);
    if (made.load.total.first_error != 0) {
        auto const reason = std::generic_category().message(made.load.total.first_error);
        std::fprintf(stderr, "echo_load: connection lost: %s\n", reason.c_str());
    }
    if (chosen.server_pid != 0 && !made.load.server_cpu_seconds) {
        std::fprintf(stderr, "echo_load: cannot read the server's CPU time\n");
    }
    chosen.json ? print_json(chosen, made) : print_table(chosen, made);
    return made.errors() == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    try {
        auto const chosen = parse_options(argc, argv);
        if (chosen.help) {
            std::fputs(usage_text, stdout);
            return 0;
        }
        return run(chosen);
    } catch (usage_error const& error) {
        std::fprintf(stderr, "echo_load: %s\n", error.what());
        return 2;
    } catch (std::exception const& error) {
        std::fprintf(stderr, "echo_load: %s\n", error.what());
        return 1;
    }
}
