#include <weft/runtime/resilience/time_limit.hpp>

namespace weft {

time_limit_counters time_limit::counters() const noexcept {
    detail::scoped_lock const lock(mutex_);
    return counters_;
}

void time_limit::count(std::exception_ptr const& error) noexcept {
    bool const timed_out = error_code_in(error) == std::errc::timed_out;
    detail::scoped_lock const lock(mutex_);
    ++counters_.calls;
    counters_.timed_out += timed_out ? 1 : 0;
}

}  // namespace weft
