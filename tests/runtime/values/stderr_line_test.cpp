#include <weft/runtime/values/stderr_line.hpp>

#include <weft/tests/support/redirected_stderr.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <string>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

namespace {

using weft::stderr_lines_dropped;
using weft::unique_fd;
using weft::detail::write_stderr_line;
using weft::test::plain_pipe;
using weft::test::redirected_stderr;

std::size_t count_of(std::string const& part, std::string const& text) {
    std::size_t count = 0;
    for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
        ++count;
    }
    return count;
}

/// Writes until a line gets through: what the cases before have spent comes back with time.
std::string next_line(plain_pipe& read) {
    redirected_stderr const to(read.target());
    for (;;) {
        write_stderr_line("through");
        if (std::string text = read.take_all(); !text.empty()) {
            return text;
        }
    }
}

}  // namespace

TEST_SUITE("runtime/base/stderr_line") {
    TEST_CASE("a line stands on stderr, in one piece, with the library's name") {
        plain_pipe seen;
        redirected_stderr const to(seen.target());
        write_stderr_line("head ", "and tail");
        CHECK(seen.take_all() == "weft: head and tail\n");
    }

    TEST_CASE("a line that is too long is cut and ends as a line") {
        plain_pipe seen;
        redirected_stderr const to(seen.target());
        write_stderr_line("long ", std::string(100'000, 'x').c_str());
        std::string const text = seen.take_all();
        CHECK(text.size() == 1024);
        CHECK(text.substr(0, 12) == "weft: long x");
        CHECK(text.back() == '\n');
    }

    TEST_CASE("a full pipe drops the line, and the next one tells how many are missing") {
        plain_pipe full;
        full.fill();
        auto const before = stderr_lines_dropped();
        {
            redirected_stderr const to(full.target());
            for (int i = 0; i < 3; ++i) {
                write_stderr_line("lost");
            }
        }
        CHECK(stderr_lines_dropped() == before + 3);
        CHECK(count_of("lost", full.take_all()) == 0);
        std::string const told = next_line(full);
        CHECK(told == "weft: (3 lines before this one were dropped)\nweft: through\n");
        CHECK(next_line(full) == "weft: through\n");
    }

    TEST_CASE("a terminal that is stopped drops the line") {
        unique_fd const master(::posix_openpt(O_RDWR | O_NOCTTY));
        if (!master || ::grantpt(master.value()) != 0 || ::unlockpt(master.value()) != 0) {
            return;  // no terminals here
        }
        unique_fd terminal(::open(::ptsname(master.value()), O_RDWR | O_NOCTTY | O_NONBLOCK));
        REQUIRE(terminal);
        std::string const block(1024, '.');
        while (::write(terminal.value(), block.data(), block.size()) > 0) {
        }
        REQUIRE(::fcntl(terminal.value(), F_SETFL, 0) == 0);
        auto const before = stderr_lines_dropped();
        {
            redirected_stderr const to(terminal.value());
            write_stderr_line("lost");
        }
        CHECK(stderr_lines_dropped() == before + 1);
        plain_pipe later;
        CHECK(count_of("dropped", next_line(later)) == 1);
    }

    TEST_CASE("of too many lines a few are written, and every one is written or counted") {
        constexpr std::uint64_t lines = 10'000;
        plain_pipe seen;
        auto const before = stderr_lines_dropped();
        std::string text;
        {
            redirected_stderr const to(seen.target());
            for (std::uint64_t i = 0; i < lines; ++i) {
                write_stderr_line("one of many");
                text += seen.take_all();
            }
        }
        std::uint64_t const written = count_of("one of many", text);
        CHECK(written + (stderr_lines_dropped() - before) == lines);
        CHECK(written < lines / 10);
        CHECK(count_of("before this one were dropped", next_line(seen)) == 1);
    }
}
