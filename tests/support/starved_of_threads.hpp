#pragma once

/// Runs something in a process that may not start more than a few threads.

#include <doctest/doctest.h>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace weft::test {

enum class starvation {
    survived,  ///< the function returned true
    failed,    ///< it returned false, or did not return
    not_here,  ///< this system does not limit threads
};

/// In a child process of a user who has no other: the limit counts all threads of a user, and root
/// has none.
template <class Function>
[[nodiscard]] starvation outcome_with_threads(unsigned count, Function function) {
    constexpr ::uid_t nobodys = 0x5765'6674;
    constexpr int is_not_limited = 2;
    ::pid_t const child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        ::rlimit const limit{count, count};
        if (::setresuid(nobodys, nobodys, nobodys) != 0 || ::setrlimit(RLIMIT_NPROC, &limit) != 0) {
            ::_exit(is_not_limited);
        }
        ::_exit(function() ? 0 : 1);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == is_not_limited) {
        return starvation::not_here;
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? starvation::survived
                                                         : starvation::failed;
}

}  // namespace weft::test
