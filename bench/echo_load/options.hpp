#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>

#include <sys/types.h>

namespace echo_load {

struct options {
    std::string host = "127.0.0.1";
    std::uint16_t port = 0;
    std::size_t connections = 1;
    std::size_t message_size = 64;
    std::size_t pipeline = 1;
    std::size_t threads = 1;
    std::size_t idle_connections = 0;
    std::chrono::nanoseconds duration = std::chrono::seconds(5);
    std::chrono::nanoseconds warmup = std::chrono::seconds(1);
    std::chrono::nanoseconds connect_timeout = std::chrono::seconds(5);
    double requests_per_second = 0;  // 0: closed loop
    ::pid_t server_pid = 0;          // 0: unknown
    bool idle_memory = false;
    bool verify = true;
    bool json = false;
    bool quiet = false;
    bool help = false;
};

/// A command line that makes no sense; what() says why.
struct usage_error : std::runtime_error {
    using std::runtime_error::runtime_error;
};

extern char const* const usage_text;

/// Throws usage_error. With `--help`, the rest is not looked at.
options parse_options(int argc, char** argv);

}  // namespace echo_load
