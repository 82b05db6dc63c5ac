#pragma once

/// Another file in the place of stderr for a while, such as a pipe that nobody reads.

#include <weft/runtime/values/unique_fd.hpp>

#include <doctest/doctest.h>

#include <array>
#include <string>

#include <fcntl.h>
#include <unistd.h>

namespace weft::test {

class redirected_stderr {
public:
    explicit redirected_stderr(int target) : kept_(::dup(STDERR_FILENO)) {
        REQUIRE(kept_);
        REQUIRE(::dup2(target, STDERR_FILENO) == STDERR_FILENO);
    }

    redirected_stderr(redirected_stderr const&) = delete;
    redirected_stderr& operator=(redirected_stderr const&) = delete;

    ~redirected_stderr() { ::dup2(kept_.value(), STDERR_FILENO); }

private:
    unique_fd kept_;
};

/// A pipe whose writers wait when it is full, as those of a shell do.
class plain_pipe {
public:
    plain_pipe() {
        int ends[2];
        REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
        source_.reset(ends[0]);
        target_.reset(ends[1]);
    }

    [[nodiscard]] int target() const { return target_.value(); }

    /// Until a writer would wait.
    void fill() {
        set_waiting(target_, false);
        std::array<char, 4096> block;
        block.fill('.');
        for (std::size_t size = block.size(); size != 0;) {
            size = ::write(target_.value(), block.data(), size) > 0 ? size : size / 2;
        }
        set_waiting(target_, true);
    }

    /// What stands in it.
    [[nodiscard]] std::string take_all() {
        set_waiting(source_, false);
        std::string all;
        std::array<char, 4096> block;
        for (;;) {
            auto const count = ::read(source_.value(), block.data(), block.size());
            if (count <= 0) {
                return all;
            }
            all.append(block.data(), static_cast<std::size_t>(count));
        }
    }

private:
    static void set_waiting(unique_fd const& end, bool waits) {
        int const flags = ::fcntl(end.value(), F_GETFL);
        REQUIRE(::fcntl(end.value(), F_SETFL, waits ? flags & ~O_NONBLOCK : flags | O_NONBLOCK) ==
                0);
    }

    unique_fd source_;
    unique_fd target_;
};

}  // namespace weft::test
