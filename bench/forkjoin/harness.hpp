#pragma once

// What the fork-join programs share, whichever library they use: the command line, the clock, the
// check of the answer and the line of JSON that compare.py reads. Knows nothing of weft's runtime.

#include <weft/bench/baseline/options.hpp>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <time.h>

namespace forkjoin {

struct options {
    unsigned workers = 1;
    unsigned repetitions = 3;
    std::uint64_t size = 0;  // what it counts is the program's affair
};

[[noreturn]] inline void refuse_size(char const* program, char const* must_be) {
    std::fprintf(stderr, "%s: the size must be %s\n", program, must_be);
    std::exit(2);
}

/// `size` is the size where the command line names none.
inline options read_options(int argc, char** argv, std::uint64_t size, std::uint64_t size_max) {
    options chosen;
    chosen.size = size;
    auto const* const usage = "[--workers N] [--repetitions N] [--size N]";
    baseline::read_options(argc, argv, usage, [&](std::string_view name, std::string_view text) {
        if (name == "--workers") {
            return baseline::read_number(text, 1U, 1024U, chosen.workers);
        }
        if (name == "--repetitions") {
            return baseline::read_number(text, 1U, 1'000'000U, chosen.repetitions);
        }
        return name == "--size" &&
               baseline::read_number<std::uint64_t>(text, 1, size_max, chosen.size);
    });
    return chosen;
}

/// The most memory that this process has held at a time; 0 when the kernel does not tell. Not
/// getrusage(): its maximum includes what the process was before exec, such as a Python script.
inline std::uint64_t peak_resident_bytes() {
    unsigned long long kibibytes = 0;
    if (std::FILE* const file = std::fopen("/proc/self/status", "r"); file != nullptr) {
        char line[256];
        while (std::fgets(line, sizeof line, file) != nullptr &&
               std::sscanf(line, "VmHWM: %llu kB", &kibibytes) != 1) {
        }
        std::fclose(file);
    }
    return kibibytes * 1024;
}

/// What all threads of this process have used.
inline double cpu_seconds() {
    ::timespec time{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

/// One object of JSON on a line of its own. Names and texts are written as they are.
class json_line {
public:
    void add(char const* name, std::string_view text) {
        begin(name);
        text_.append("\"").append(text).append("\"");
    }

    void add(char const* name, std::uint64_t number) {
        begin(name);
        text_ += std::to_string(number);
    }

    void add(char const* name, double number) {
        begin(name);
        append(number);
    }

    void add(char const* name, std::span<double const> numbers) {
        begin(name);
        char const* separator = "[";
        for (double const each : numbers) {
            text_ += std::exchange(separator, ", ");
            append(each);
        }
        text_ += numbers.empty() ? "[]" : "]";
    }

    void print() const { std::printf("{%s}\n", text_.c_str()); }

private:
    void begin(char const* name) {
        text_ += text_.empty() ? "\"" : ", \"";
        text_.append(name).append("\": ");
    }

    void append(double number) {
        char digits[32];
        std::snprintf(digits, sizeof digits, "%.9g", number);
        text_ += digits;
    }

    std::string text_;
};

/// What every program says of itself.
inline json_line begin_report(char const* library, char const* benchmark, options const& chosen) {
    json_line line;
    line.add("benchmark", std::string_view(benchmark));
    line.add("library", std::string_view(library));
    line.add("size", chosen.size);
    line.add("workers", std::uint64_t{chosen.workers});
    return line;
}

/// Times `solve()` once per repetition and prints the figures. Gives the program's exit code: 1 as
/// soon as `is_right` refuses an answer. Only `solve` is timed.
template <class Solve, class IsRight>
[[nodiscard]] int measure(char const* library,
                          char const* benchmark,
                          options const& chosen,
                          Solve solve,
                          IsRight is_right) {
    using clock = std::chrono::steady_clock;
    std::vector<double> seconds;
    std::vector<double> cpu;
    for (unsigned i = 0; i < chosen.repetitions; ++i) {
        double const cpu_before = cpu_seconds();
        auto const start = clock::now();
        auto const answer = solve();
        auto const end = clock::now();
        cpu.push_back(cpu_seconds() - cpu_before);
        if (!is_right(answer)) {
            std::fprintf(stderr, "%s on %s: the answer is wrong\n", benchmark, library);
            return 1;
        }
        seconds.push_back(std::chrono::duration<double>(end - start).count());
    }
    json_line line = begin_report(library, benchmark, chosen);
    line.add("seconds", std::span<double const>(seconds));
    line.add("cpu_seconds", std::span<double const>(cpu));
    line.add("peak_rss_bytes", peak_resident_bytes());
    line.print();
    return 0;
}

}  // namespace forkjoin
