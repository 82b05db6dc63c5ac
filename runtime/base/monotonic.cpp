#include <weft/runtime/base/monotonic.hpp>

#include <ctime>

namespace weft::detail {

std::uint64_t monotonic_ns() noexcept {
    ::timespec time{};
    ::clock_gettime(CLOCK_MONOTONIC, &time);
    return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000U +
           static_cast<std::uint64_t>(time.tv_nsec);
}

}  // namespace weft::detail
