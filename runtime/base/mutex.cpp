#include <weft/runtime/base/mutex.hpp>

#include <ctime>

namespace weft::detail {

condition::condition() noexcept {
    ::pthread_condattr_t attributes;
    ::pthread_condattr_init(&attributes);
    ::pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    ::pthread_cond_init(&native_, &attributes);
    ::pthread_condattr_destroy(&attributes);
}

condition::~condition() {
    ::pthread_cond_destroy(&native_);
}

void condition::wait(mutex& locked) noexcept {
    ::pthread_cond_wait(&native_, &locked.native_);
}

bool condition::wait_until(mutex& locked, std::uint64_t deadline_ns) noexcept {
    constexpr std::uint64_t second = 1'000'000'000;
    timespec deadline{};
    deadline.tv_sec = static_cast<std::time_t>(deadline_ns / second);
    deadline.tv_nsec = static_cast<long>(deadline_ns % second);
    return ::pthread_cond_timedwait(&native_, &locked.native_, &deadline) == 0;
}

void condition::notify_all() noexcept {
    ::pthread_cond_broadcast(&native_);
}

}  // namespace weft::detail
