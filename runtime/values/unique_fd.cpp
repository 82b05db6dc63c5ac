#include <weft/runtime/values/unique_fd.hpp>

#include <weft/runtime/base/sys.hpp>

#include <cerrno>

namespace weft {

void unique_fd::reset(int next) noexcept {
    int const old = std::exchange(fd_, next);
    if (old >= 0) {
        int const saved = errno;
        (void)detail::sys::close(old);
        errno = saved;
    }
}

result<unique_fd> unique_fd::duplicate() const noexcept {
    int const copy = detail::sys::duplicate(fd_);
    if (copy < 0) {
        return failure(std::error_code(-copy, std::system_category()));
    }
    return unique_fd(copy);
}

}  // namespace weft
