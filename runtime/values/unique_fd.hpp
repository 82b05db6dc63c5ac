#pragma once

#include <weft/runtime/values/result.hpp>

#include <utility>

namespace weft {

/// Owns a file descriptor and closes it.
///
/// Thread safety: as for a plain value.
/// Cancellation: never suspends.
/// Lifetime: the descriptor is closed by the destructor unless released.
/// Complexity: close(2) may block for descriptors of slow devices; sockets and files of weft are
///     closed otherwise.
/// Errors: those of close(2) are dropped: on Linux the descriptor is gone whatever it says.
class unique_fd {
public:
    unique_fd() noexcept = default;

    explicit unique_fd(int owned) noexcept : fd_(owned) {}

    unique_fd(unique_fd&& other) noexcept : fd_(other.release()) {}

    unique_fd& operator=(unique_fd&& other) noexcept {
        if (this != &other) {
            reset(other.release());
        }
        return *this;
    }

    ~unique_fd() { reset(); }

    [[nodiscard]] int value() const noexcept { return fd_; }

    [[nodiscard]] explicit operator bool() const noexcept { return fd_ >= 0; }

    /// Gives the descriptor up without closing it.
    [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }

    /// Closes what is owned and owns `next` instead.
    void reset(int next = -1) noexcept;

    /// A second descriptor for the same open file, close-on-exec.
    [[nodiscard]] result<unique_fd> duplicate() const noexcept;

private:
    int fd_ = -1;
};

}  // namespace weft
