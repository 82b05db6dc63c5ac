#include <weft/runtime/base/assert.hpp>

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace weft::detail {

void panic(char const* file, int line, char const* expression, char const* message) noexcept {
    std::fprintf(stderr, "weft: %s:%d: %s (%s)\n", file, line, message, expression);
    std::fflush(stderr);
    std::abort();
}

void panic_of_error(char const* system_call, int error) noexcept {
    char const* const name = ::strerrorname_np(error);
    char const* const meaning = ::strerrordesc_np(error);
    std::fprintf(stderr,
                 "weft: %s fails: %s (%s)\n",
                 system_call,
                 name != nullptr ? name : "unknown error",
                 meaning != nullptr ? meaning : "without a description");
    std::fflush(stderr);
    std::abort();
}

}  // namespace weft::detail
