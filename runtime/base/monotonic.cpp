#include <weft/runtime/base/monotonic.hpp>

#include <weft/runtime/base/sys.hpp>

namespace weft::detail {

std::uint64_t monotonic_ns() noexcept {
    return sys::monotonic_ns();
}

}  // namespace weft::detail
