#include <weft/io/driver/wait_errors.hpp>

#include <weft/io/sys/sys.hpp>
#include <weft/runtime/base/assert.hpp>

#include <cerrno>

namespace weft::detail {

namespace {

/// Signals do not come as fast as this many in the time of patience.
constexpr std::uint64_t interruptions_max = 200'000;

}  // namespace

void wait_errors::note_interruption() noexcept {
    if (count_++ == 0) {
        since_ = sys::monotonic_ns();
    } else if (count_ == interruptions_max) {
        if (sys::monotonic_ns() - since_ < patience) {
            note_failure(EINTR);
        }
        count_ = 0;
    }
}

void wait_errors::note_refusal(int error) noexcept {
    if (count_++ == 0) {
        since_ = sys::monotonic_ns();
    } else if (sys::monotonic_ns() - since_ > patience) {
        note_failure(error);
    }
}

void wait_errors::note_failure(int error) const noexcept {
    panic_of_error(system_call_, error);
}

}  // namespace weft::detail
