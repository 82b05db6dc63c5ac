#include <weft/runtime/base/assert.hpp>

#include <cstdio>
#include <cstdlib>

namespace weft::detail {

void panic(char const* file, int line, char const* expression, char const* message) noexcept {
    std::fprintf(stderr, "weft: %s:%d: %s (%s)\n", file, line, message, expression);
    std::fflush(stderr);
    std::abort();
}

}  // namespace weft::detail
