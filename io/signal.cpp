#include <weft/io/signal.hpp>

#include <weft/io/transfer.hpp>
#include <weft/runtime/this_task.hpp>

#include <cerrno>
#include <system_error>

#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

namespace weft {

namespace {

/// Blocks the signals and gives a descriptor that reports them instead.
[[nodiscard]] unique_fd redirect(std::initializer_list<int> numbers) {
    ::sigset_t wanted;
    ::sigemptyset(&wanted);
    for (int const number : numbers) {
        if (::sigaddset(&wanted, number) != 0) {
            throw std::system_error(errno, std::system_category(), "signal_set");
        }
    }
    if (int const error = ::pthread_sigmask(SIG_BLOCK, &wanted, nullptr); error != 0) {
        throw std::system_error(error, std::system_category(), "signal_set");
    }
    unique_fd fd(::signalfd(-1, &wanted, SFD_NONBLOCK | SFD_CLOEXEC));
    if (!fd) {
        throw std::system_error(errno, std::system_category(), "signal_set");
    }
    return fd;
}

}  // namespace

signal_set::signal_set(std::initializer_list<int> numbers) : state_(redirect(numbers)) {}

task<int> signal_set::next() {
    for (;;) {
        co_await this_task::stop_point();
        ::signalfd_siginfo received;
        ::ssize_t const count = ::read(state_.fd(), &received, sizeof received);
        if (count == static_cast<::ssize_t>(sizeof received)) {
            co_return static_cast<int>(received.ssi_signo);
        }
        if (count < 0 && errno != EAGAIN && errno != EINTR) {
            throw std::system_error(errno, std::system_category(), "signal_set");
        }
        co_await readiness_operation(state_, "wait for a signal");
    }
}

}  // namespace weft
