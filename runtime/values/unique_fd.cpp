#include <weft/runtime/values/unique_fd.hpp>

#include <cerrno>

#include <fcntl.h>
#include <unistd.h>

namespace weft {

void unique_fd::reset(int next) noexcept {
    int const old = std::exchange(fd_, next);
    if (old >= 0) {
        int const saved = errno;
        ::close(old);
        errno = saved;
    }
}

result<unique_fd> unique_fd::duplicate() const noexcept {
    int const copy = ::fcntl(fd_, F_DUPFD_CLOEXEC, 0);
    if (copy < 0) {
        return failure(std::error_code(errno, std::system_category()));
    }
    return unique_fd(copy);
}

}  // namespace weft
