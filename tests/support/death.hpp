#pragma once

/// Checks that something kills its process, and what it says before.

#include <weft/runtime/values/unique_fd.hpp>

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

/// A child process whose end, and what it writes to stderr until then, its parent can watch. Both
/// go on behind the constructor.
class forked {
public:
    forked() {
        int ends[2];
        REQUIRE(::pipe(ends) == 0);
        source_.reset(ends[0]);
        unique_fd const target(ends[1]);
        child_ = ::fork();
        REQUIRE(child_ >= 0);
        if (child_ == 0) {
            ::rlimit const no_core_dump{};
            ::setrlimit(RLIMIT_CORE, &no_core_dump);
            std::signal(SIGABRT, SIG_DFL);  // not the test library's report of a crash
            ::dup2(target.value(), STDERR_FILENO);
        }
    }

    [[nodiscard]] bool is_child() const noexcept { return child_ == 0; }

    /// The child, at its end.
    [[noreturn]] static void leave() {
        std::fflush(stderr);
        ::_exit(0);
    }

    /// The parent. Blocks until the child has ended.
    [[nodiscard]] death wait() {
        death seen{};
        char block[256];
        for (;;) {
            auto const count = ::read(source_.value(), block, sizeof block);
            if (count <= 0) {
                break;
            }
            seen.text.append(block, static_cast<std::size_t>(count));
        }
        int status = 0;
        REQUIRE(::waitpid(child_, &status, 0) == child_);
        seen.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
        return seen;
    }

private:
    unique_fd source_;
    ::pid_t child_ = 0;
};

/// Runs `function` in a child process. Requires: no other thread holds a lock that it takes.
template <class Function>
[[nodiscard]] death death_of(Function function) {
    forked process;
    if (process.is_child()) {
        function();
        forked::leave();
    }
    return process.wait();
}

}  // namespace weft::test
