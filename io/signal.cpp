#include <weft/io/signal.hpp>

#include <weft/io/net/detail/transfer.hpp>
#include <weft/io/sys/sys.hpp>
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
            throw std::system_error(EINVAL, std::system_category(), "signal_set");
        }
    }
    if (int const answer = detail::sys::block_signals(wanted); answer < 0) {
        throw std::system_error(-answer, std::system_category(), "signal_set");
    }
    int const fd = detail::sys::signal_descriptor(wanted, SFD_NONBLOCK | SFD_CLOEXEC);
    if (fd < 0) {
        throw std::system_error(-fd, std::system_category(), "signal_set");
    }
    return unique_fd(fd);
}

/// The number of a signal that is there, and is taken; 0 when there is none; or the error.
[[nodiscard]] result<int> take_now(detail::descriptor_state const& state) noexcept {
    for (;;) {
        ::signalfd_siginfo received;
        int const count = detail::sys::read(state.fd(), &received, sizeof received);
        if (count == int{sizeof received}) {
            return static_cast<int>(received.ssi_signo);
        }
        if (count >= 0 || count == -EAGAIN) {
            return 0;
        }
        if (count != -EINTR) {
            return failure(detail::system_error_code(-count));
        }
    }
}

constexpr char const* wait_name = "wait for a signal on";

[[nodiscard]] detail::io_object object_of(detail::descriptor_state const& state) noexcept {
    return detail::io_object::descriptor(state.fd());
}

}  // namespace

signal_set::signal_set(std::initializer_list<int> numbers) : state_(redirect(numbers)) {}

next_signal signal_set::next() {
    return next_signal(state_, wait_for_next(state_));
}

task<int> signal_set::wait_for_next(detail::descriptor_state& state) {
    for (;;) {
        co_await this_task::stop_point();
        auto const taken = take_now(state);
        if (!taken) {
            throw std::system_error(taken.error(), "signal_set");
        }
        if (*taken != 0) {
            co_return *taken;
        }
        co_await readiness_operation(state, object_of(state), wait_name);
    }
}

task<result<void>> next_signal::until_ready() const {
    basic_transfer<detail::readiness, true> arrival(*state_, object_of(*state_), wait_name);
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
