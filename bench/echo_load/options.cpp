#include <weft/bench/echo_load/options.hpp>

#include <array>
#include <charconv>
#include <limits>
#include <string_view>
#include <system_error>

#include <getopt.h>

namespace echo_load {

char const* const usage_text =
    "usage: echo_load --port PORT [OPTION...]\n"
    "\n"
    "  --host HOST            server's name or address (127.0.0.1)\n"
    "  --port PORT            server's TCP port (required)\n"
    "  --connections N        connections that send (1)\n"
    "  --size BYTES           bytes a message (64)\n"
    "  --pipeline DEPTH       messages outstanding on each connection (1)\n"
    "  --duration SEC         length of the measured window (5)\n"
    "  --warmup SEC           time between the first request and the window (1)\n"
    "  --threads N            threads of the load generator (1)\n"
    "  --rate R               requests/s over all connections, sent on a fixed schedule; latency\n"
    "                         counts from the schedule. Without it, each reply starts a request\n"
    "  --connect-timeout SEC  how long to wait for the server to accept (5)\n"
    "  --no-verify            do not compare the echoed bytes (--verify: compare, the default)\n"
    "  --server-pid PID       report the server's CPU time\n"
    "  --idle N               additional connections that are opened and never used\n"
    "  --idle-memory          report the server's memory per idle connection (needs --server-pid)\n"
    "  --json                 print one JSON object instead of the table\n"
    "  --quiet                no progress line, even on a terminal\n"
    "  --help                 print this\n"
    "\n"
    "exit status: 0 all replies right, 1 an error of a connection or the system, 2 wrong options\n";

namespace {

enum class option_name {
    host = 1,
    port,
    connections,
    size,
    pipeline,
    duration,
    warmup,
    threads,
    rate,
    connect_timeout,
    verify,
    no_verify,
    server_pid,
    idle,
    idle_memory,
    json,
    quiet,
    help,
};

constexpr ::option row(char const* name, int has_argument, option_name value) {
    return {name, has_argument, nullptr, static_cast<int>(value)};
}

constexpr std::array option_table = {
    row("host", required_argument, option_name::host),
    row("port", required_argument, option_name::port),
    row("connections", required_argument, option_name::connections),
    row("size", required_argument, option_name::size),
    row("pipeline", required_argument, option_name::pipeline),
    row("duration", required_argument, option_name::duration),
    row("warmup", required_argument, option_name::warmup),
    row("threads", required_argument, option_name::threads),
    row("rate", required_argument, option_name::rate),
    row("connect-timeout", required_argument, option_name::connect_timeout),
    row("verify", no_argument, option_name::verify),
    row("no-verify", no_argument, option_name::no_verify),
    row("server-pid", required_argument, option_name::server_pid),
    row("idle", required_argument, option_name::idle),
    row("idle-memory", no_argument, option_name::idle_memory),
    row("json", no_argument, option_name::json),
    row("quiet", no_argument, option_name::quiet),
    row("help", no_argument, option_name::help),
    ::option{nullptr, 0, nullptr, 0},
};

template <class Number>
Number number(std::string_view text, Number least, Number most) {
    Number value{};
    auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    bool const whole = error == std::errc() && end == text.data() + text.size();
    if (!whole || !(value >= least && value <= most)) {
        throw usage_error("not a number in range: " + std::string(text));
    }
    return value;
}

std::size_t count(std::string_view text, std::size_t least, std::size_t most) {
    return number<std::size_t>(text, least, most);
}

std::chrono::nanoseconds seconds(std::string_view text, double least) {
    std::chrono::duration<double> const value(number<double>(text, least, 86'400.0));
    return std::chrono::duration_cast<std::chrono::nanoseconds>(value);
}

void set_traffic(options& chosen, option_name name, char const* text) {
    switch (name) {
        case option_name::connections:
            chosen.connections = count(text, 0, 1'000'000);
            break;
        case option_name::size:
            chosen.message_size = count(text, 1, 64'000'000);
            break;
        case option_name::pipeline:
            chosen.pipeline = count(text, 1, 65'536);
            break;
        case option_name::threads:
            chosen.threads = count(text, 1, 256);
            break;
        case option_name::idle:
            chosen.idle_connections = count(text, 0, 10'000'000);
            break;
        case option_name::duration:
            chosen.duration = seconds(text, 0.001);
            break;
        case option_name::warmup:
            chosen.warmup = seconds(text, 0);
            break;
        case option_name::connect_timeout:
            chosen.connect_timeout = seconds(text, 0);
            break;
        case option_name::rate:
            chosen.requests_per_second = number<double>(text, 0.001, 1e9);
            break;
        default:
            throw usage_error("unknown option");
    }
}

void set(options& chosen, option_name name, char const* text) {
    switch (name) {
        case option_name::host:
            chosen.host = text;
            break;
        case option_name::port:
            chosen.port = number<std::uint16_t>(text, 1, 65'535);
            break;
        case option_name::server_pid:
            chosen.server_pid = number<::pid_t>(text, 1, std::numeric_limits<::pid_t>::max());
            break;
        case option_name::verify:
            chosen.verify = true;
            break;
        case option_name::no_verify:
            chosen.verify = false;
            break;
        case option_name::idle_memory:
            chosen.idle_memory = true;
            break;
        case option_name::json:
            chosen.json = true;
            break;
        case option_name::quiet:
            chosen.quiet = true;
            break;
        case option_name::help:
            chosen.help = true;
            break;
        default:
            set_traffic(chosen, name, text);
    }
}

void check_together(options const& chosen) {
    if (chosen.port == 0) {
        throw usage_error("--port is required");
    }
    if (chosen.connections == 0 && chosen.idle_connections == 0) {
        throw usage_error("nothing to do without connections");
    }
    if (chosen.connections == 0 && chosen.requests_per_second > 0) {
        throw usage_error("--rate needs connections");
    }
    if (chosen.threads > 1 && chosen.threads > chosen.connections) {
        throw usage_error("more threads than connections");
    }
    if (chosen.idle_memory && (chosen.server_pid == 0 || chosen.idle_connections == 0)) {
        throw usage_error("--idle-memory needs --server-pid and --idle");
    }
}

}  // namespace

options parse_options(int argc, char** argv) {
    options chosen;
    int index = 0;
    for (;;) {
        int const value = ::getopt_long(argc, argv, "", option_table.data(), &index);
        if (value == -1) {
            break;
        }
        if (value == '?') {
            throw usage_error("see --help");  // getopt has said what is wrong
        }
        try {
            set(chosen, static_cast<option_name>(value), optarg);
        } catch (usage_error const& error) {
            auto const* const name = option_table[static_cast<std::size_t>(index)].name;
            throw usage_error("--" + std::string(name) + ": " + error.what());
        }
        if (chosen.help) {
            return chosen;
        }
    }
    if (::optind < argc) {
        throw usage_error("unexpected argument: " + std::string(argv[::optind]));
    }
    check_together(chosen);
    return chosen;
}

}  // namespace echo_load
