// Random programs of everything that the library has, held to what its headers promise. How to
// read and repeat a failure: README.md.

#include <weft/tests/fuzz/runner.hpp>
#include <weft/tests/fuzz/shrink.hpp>
#include <weft/tests/fuzz/watchdog.hpp>
#include <weft/tests/support/seed.hpp>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

namespace {

using namespace weft::fuzz;

struct options {
    run_settings run;
    std::optional<std::uint64_t> seed;
    double seconds = 5;
    unsigned long programs = 0;  // 0: as many as the seconds allow
    unsigned size = 24;
    unsigned repeat = 1;
    std::vector<cut> cuts;
    bool prints_only = false;
    bool shrinks = false;
};

/// What Meson shows as skipped.
constexpr int exit_skipped = 77;

constexpr char const* usage =
    "usage: fuzz [--mode virtual|real|io] [--driver uring|epoll] [--workers N]\n"
    "            [--seconds S] [--programs N] [--size N]\n"
    "            [--seed N [--cut LIST] [--repeat N] [--shrink] [--print]]\n";

[[noreturn]] void refuse(std::string_view word) {
    std::fprintf(stderr, "fuzz: %.*s?\n%s", static_cast<int>(word.size()), word.data(), usage);
    std::exit(2);
}

setting mode_of(std::string_view word) {
    if (word == "virtual") {
        return setting::virtual_time;
    }
    if (word == "real") {
        return setting::pool;
    }
    if (word != "io") {
        refuse(word);
    }
    return setting::sockets;
}

weft::driver_kind driver_of(std::string_view word) {
    if (word != "uring" && word != "epoll") {
        refuse(word);
    }
    return word == "uring" ? weft::driver_kind::uring : weft::driver_kind::epoll;
}

options read_options(int argc, char** argv) {
    options read;
    if (std::getenv("WEFT_SEED") != nullptr) {
        read.seed = weft::test::fresh_seed();
    }
    for (int i = 1; i < argc; ++i) {
        std::string_view const word = argv[i];
        if (word == "--shrink") {
            read.shrinks = true;
            continue;
        }
        if (word == "--print") {
            read.prints_only = true;
            continue;
        }
        if (++i == argc) {
            refuse(word);
        }
        char const* const value = argv[i];
        if (word == "--mode") {
            read.run.where = mode_of(value);
        } else if (word == "--driver") {
            read.run.driver = driver_of(value);
        } else if (word == "--workers") {
            read.run.workers = static_cast<unsigned>(std::strtoul(value, nullptr, 0));
        } else if (word == "--seconds") {
            read.seconds = std::strtod(value, nullptr);
        } else if (word == "--programs") {
            read.programs = std::strtoul(value, nullptr, 0);
        } else if (word == "--size") {
            read.size = static_cast<unsigned>(std::strtoul(value, nullptr, 0));
        } else if (word == "--repeat") {
            read.repeat = static_cast<unsigned>(std::strtoul(value, nullptr, 0));
        } else if (word == "--seed") {
            read.seed = std::strtoull(value, nullptr, 0);
        } else if (word == "--cut") {
            read.cuts = parse_cuts(value);
        } else {
            refuse(word);
        }
    }
    return read;
}

std::string how_to_repeat(options const& with, std::uint64_t seed) {
    constexpr char const* modes[] = {"virtual", "real", "io"};
    std::string text = std::string("fuzz --mode ") + modes[static_cast<int>(with.run.where)];
    if (with.run.driver != weft::driver_kind::automatic) {
        text += with.run.driver == weft::driver_kind::uring ? " --driver uring" : " --driver epoll";
    }
    if (with.run.workers != 0) {
        text += " --workers " + std::to_string(with.run.workers);
    }
    text += " --size " + std::to_string(with.size) + " --seed " + std::to_string(seed) +
            " --programs 1";
    if (!with.cuts.empty()) {
        text += " --cut " + text_of(with.cuts);
    }
    return text;
}

/// True when all is well.
bool run_one(runner& runs, options const& with, std::uint64_t seed) {
    program what = make_program(seed, with.run.where, with.size);
    apply(with.cuts, what.root);
    if (with.prints_only) {
        std::printf(
            "%sstop %lld\n", text_of(what.root).c_str(), static_cast<long long>(what.stop_us));
        return true;
    }
    set_present_program(how_to_repeat(with, seed));
    for (unsigned i = 0; i != with.repeat; ++i) {
        complaints const seen = runs.run(what);
        if (!seen.empty()) {
            std::fprintf(stderr,
                         "FAILED: %s\n%sprogram (stop from outside: %lld):\n%s",
                         how_to_repeat(with, seed).c_str(),
                         seen.c_str(),
                         static_cast<long long>(what.stop_us),
                         text_of(what.root).c_str());
            return false;
        }
    }
    return true;
}

/// Whether this machine grants the driver that was asked for.
bool can_run(options const& with) {
    if (with.run.where != setting::sockets) {
        return true;
    }
    try {
        weft::runtime const probe({.workers = 1, .driver = with.run.driver});
        return true;
    } catch (std::system_error const& refusal) {
        std::fprintf(stderr, "skipped: %s\n", refusal.what());
        return false;
    }
}

}  // namespace

int main(int argc, char** argv) {
    options const with = read_options(argc, argv);
    if (!can_run(with)) {
        return exit_skipped;
    }
    std::uint64_t const first = with.seed.value_or(weft::test::fresh_seed() >> 16);
    if (with.shrinks) {
        return shrink(argv[0], how_to_repeat(with, first), with.repeat);
    }
    auto const end = std::chrono::steady_clock::now() + std::chrono::duration<double>(with.seconds);
    std::printf("fuzz: from seed %llu\n", static_cast<unsigned long long>(first));
    std::fflush(stdout);
    runner runs(with.run);
    unsigned long count = 0;
    while (with.programs != 0 ? count != with.programs : std::chrono::steady_clock::now() < end) {
        if (!run_one(runs, with, first + count)) {
            return 1;
        }
        ++count;
    }
    std::printf("fuzz: %lu programs, %lu of them foretold\n", count, runs.foretold());
    return 0;
}
