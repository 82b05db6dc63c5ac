#pragma once

/// Checks that something kills its process, and what it says before.

#include <weft/runtime/base/unique_fd.hpp>

#include <doctest/doctest.h>

#include <csignal>
#include <cstddef>
#include <cstdio>
#include <string>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace weft::test {

struct death {
    int signal;        ///< 0 when the process ended by itself
    std::string text;  ///< what it wrote to stderr
};

/// Whether it aborted, and gave that reason.
[[nodiscard]] inline bool aborted_saying(death const& seen, std::string const& reason) {
    return seen.signal == SIGABRT && seen.text.find(reason) != std::string::npos;
}

/// Runs `function` in a child process. Requires: no other thread holds a lock that it takes.
template <class Function>
[[nodiscard]] death death_of(Function function) {
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    unique_fd source(ends[0]);
    unique_fd target(ends[1]);
    ::pid_t const child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        ::rlimit const no_core_dump{};
        ::setrlimit(RLIMIT_CORE, &no_core_dump);
        std::signal(SIGABRT, SIG_DFL);  // not the test library's report of a crash
        ::dup2(target.value(), STDERR_FILENO);
        function();
        std::fflush(stderr);
        ::_exit(0);
    }
    target.reset();
    death seen{};
    char block[256];
    for (;;) {
        auto const count = ::read(source.value(), block, sizeof block);
        if (count <= 0) {
            break;
        }
        seen.text.append(block, static_cast<std::size_t>(count));
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    seen.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    return seen;
}

}  // namespace weft::test
