#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <system_error>

namespace baseline {

/// The size of every receive buffer, on either side.
inline constexpr std::size_t buffer_size_bytes = 4096;

struct echo_options {
    std::uint16_t port = 0;  // 0: any free port
    unsigned threads = 1;
};

struct pingpong_options {
    double duration_seconds = 3.0;
    double warmup_seconds = 0.5;
    unsigned connections = 20;
    std::size_t message_bytes = 512;
};

/// Reads the whole of `text` as a number within [minimum, maximum]; false if it is not one.
template <class Number>
[[nodiscard]] bool read_number(std::string_view text,
                               Number minimum,
                               Number maximum,
                               Number& value) {
    Number read{};
    auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), read);
    // Written so that a NaN fails it too.
    if (error != std::errc() || end != text.data() + text.size() ||
        !(read >= minimum && read <= maximum)) {
        return false;
    }
    value = read;
    return true;
}

/// Calls `read(name, text)` for each `--name value` pair; says `usage` and ends the process with 2
/// at the first pair it refuses.
template <class Read>
void read_options(int argc, char** argv, char const* usage, Read read) {
    for (int i = 1; i < argc; i += 2) {
        if (i + 1 == argc || !read(std::string_view(argv[i]), std::string_view(argv[i + 1]))) {
            std::fprintf(stderr, "usage: %s %s\n", argv[0], usage);
            std::exit(2);
        }
    }
}

/// The options of a server that can run on up to `threads_max` threads.
inline echo_options read_echo_options(int argc, char** argv, unsigned threads_max = 1) {
    echo_options options;
    auto const* const usage = threads_max > 1 ? "[--port P] [--threads N]" : "[--port P]";
    read_options(argc, argv, usage, [&](std::string_view name, std::string_view text) {
        if (name == "--port") {
            return read_number<std::uint16_t>(text, 0, 65535, options.port);
        }
        return name == "--threads" && read_number(text, 1U, threads_max, options.threads);
    });
    return options;
}

inline pingpong_options read_pingpong_options(int argc, char** argv) {
    pingpong_options options;
    auto const* const usage =
        "[--duration SECONDS] [--warmup SECONDS] [--connections N] [--bytes N]";
    read_options(argc, argv, usage, [&](std::string_view name, std::string_view text) {
        if (name == "--duration") {
            return read_number(text, 0.001, 3600.0, options.duration_seconds);
        }
        if (name == "--warmup") {
            return read_number(text, 0.0, 3600.0, options.warmup_seconds);
        }
        if (name == "--connections") {
            return read_number(text, 1U, 1000U, options.connections);
        }
        // The least is the round number that every message carries.
        return name == "--bytes" &&
               read_number<std::size_t>(
                   text, sizeof(std::uint64_t), buffer_size_bytes, options.message_bytes);
    });
    return options;
}

}  // namespace baseline
