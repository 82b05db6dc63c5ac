#pragma once

/// What becomes of the errors of the system call in which a worker waits.

#include <weft/runtime/sched/driver.hpp>

#include <cstdint>

namespace weft::detail {

/// Lets a worker ask again after an error that passes, and ends the process with the error's name
/// when it does not pass, or is none that could: a worker that cannot wait would run for ever
/// without doing anything.
class wait_errors {
public:
    /// Errors that are to pass have this long, in nanoseconds.
    static constexpr nanoseconds_u64 patience = 5'000'000'000U;

    explicit constexpr wait_errors(char const* system_call) noexcept : system_call_(system_call) {}

    /// The call did what it should.
    void note_success() noexcept { count_ = 0; }

    /// EINTR. Signals that come slowly may interrupt every call of an idle worker; it is to last
    /// when the calls do not even wait for them.
    void note_interruption() noexcept;

    /// The kernel lacks something at the moment.
    void note_refusal(int error) noexcept;

    /// Any other error.
    [[noreturn]] void note_failure(int error) const noexcept;

private:
    char const* system_call_;
    std::uint64_t count_ = 0;  // errors in a row
    nanoseconds_u64 since_ = 0;
};

}  // namespace weft::detail
