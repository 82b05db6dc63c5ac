#include <weft/io/wait_errors.hpp>

#include <weft/runtime/base/assert.hpp>

#include <cerrno>
#include <ctime>

namespace weft::detail {

namespace {

/// Signals do not come as fast as this many in the time of patience.
constexpr std::uint64_t interruptions_max = 200'000;

[[nodiscard]] nanoseconds_u64 monotonic_now() noexcept {
    ::timespec time{};
    ::clock_gettime(CLOCK_MONOTONIC, &time);
    return static_cast<nanoseconds_u64>(time.tv_sec) * 1'000'000'000U +
           static_cast<nanoseconds_u64>(time.tv_nsec);
}

}  // namespace

void wait_errors::note_interruption() noexcept {
    if (count_++ == 0) {
        since_ = monotonic_now();
    } else if (count_ == interruptions_max) {
        if (monotonic_now() - since_ < patience) {
            note_failure(EINTR);
        }
        count_ = 0;
    }
}

void wait_errors::note_refusal(int error) noexcept {
    if (count_++ == 0) {
        since_ = monotonic_now();
    } else if (monotonic_now() - since_ > patience) {
        note_failure(error);
    }
}

void wait_errors::note_failure(int error) const noexcept {
    panic_of_error(system_call_, error);
}

}  // namespace weft::detail
