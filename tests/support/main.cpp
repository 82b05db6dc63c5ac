#define DOCTEST_CONFIG_IMPLEMENT
#include <weft/tests/support/skip.hpp>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include <linux/io_uring.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace weft::test {
namespace {

std::atomic<bool> skipped{false};

/// A run that demands io_uring means nothing on a machine that refuses it: it is skipped as a
/// whole, with the reason.
int uring_refusal() {
    char const* const driver = std::getenv("WEFT_DRIVER");
    if (driver == nullptr || std::string_view(driver) != "uring")
        return 0;
    ::io_uring_params params;
    std::memset(&params, 0, sizeof params);
    auto const fd = static_cast<int>(::syscall(__NR_io_uring_setup, 1U, &params));
    if (fd < 0)
        return errno;
    ::close(fd);
    return 0;
}

}  // namespace

void note_skip(char const* file, int line, char const* why) {
    std::fprintf(stderr, "%s:%d: skipped: %s\n", file, line, why);
    skipped.store(true);
}

bool any_skipped() noexcept {
    return skipped.load();
}

}  // namespace weft::test

int main(int argc, char** argv) {
    if (int const error = weft::test::uring_refusal(); error != 0) {
        std::fprintf(
            stderr, "skipped: this machine refuses io_uring_setup: %s\n", std::strerror(error));
        return weft::test::exit_skipped;
    }
    doctest::Context context(argc, argv);
    int const failed = context.run();
    if (failed != 0 || context.shouldExit())
        return failed;
    return weft::test::any_skipped() ? weft::test::exit_skipped : 0;
}
