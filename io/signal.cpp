#include <weft/io/signal.hpp>

#include <weft/io/net/detail/transfer.hpp>
#include <weft/runtime/scope/this_task.hpp>

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

/// The number of a signal that is there, and is taken; 0 when there is none; or the error.
[[nodiscard]] result<int> take_now(detail::socket_state const& state) noexcept {
    for (;;) {
        ::signalfd_siginfo received;
        ::ssize_t const count = ::read(state.fd(), &received, sizeof received);
        if (count == static_cast<::ssize_t>(sizeof received)) {
            return static_cast<int>(received.ssi_signo);
        }
        if (count >= 0 || errno == EAGAIN) {
            return 0;
        }
        if (errno != EINTR) {
            return failure(std::error_code(errno, std::system_category()));
        }
    }
}

constexpr char const* wait_name = "wait for a signal";

}  // namespace

signal_set::signal_set(std::initializer_list<int> numbers) : state_(redirect(numbers)) {}

next_signal signal_set::next() {
    return next_signal(state_, wait_for_next(state_));
}

task<int> signal_set::wait_for_next(detail::socket_state& state) {
    for (;;) {
        co_await this_task::stop_point();
        auto const taken = take_now(state);
        if (!taken) {
            throw std::system_error(taken.error(), "signal_set");
        }
        if (*taken != 0) {
            co_return *taken;
        }
        co_await readiness_operation(state, wait_name);
    }
}

task<result<void>> next_signal::until_ready() const {
    basic_transfer<detail::readiness, true> arrival(*state_, wait_name);
    co_return co_await arrival;
}

bool next_signal::try_complete(std::error_code waited) noexcept {
    auto const taken = take_now(*state_);
    if (!taken) {
        failed_ = taken.error();
    } else if (*taken != 0) {
        number_ = *taken;
    } else {
        failed_ = waited;
    }
    return number_ != 0 || failed_;
}

int next_signal::take() const {
    if (failed_) {
        throw std::system_error(failed_, "signal_set");
    }
    return number_;
}

}  // namespace weft
