#pragma once

/// Mutex and condition for cold paths, without the weight of <mutex> and <condition_variable> in
/// headers. The condition's clock is CLOCK_MONOTONIC.

#include <cstdint>

#include <pthread.h>

namespace weft::detail {

class mutex {
public:
    mutex() noexcept = default;
    mutex(mutex const&) = delete;
    mutex& operator=(mutex const&) = delete;

    ~mutex() { ::pthread_mutex_destroy(&native_); }

    void lock() noexcept { ::pthread_mutex_lock(&native_); }

    void unlock() noexcept { ::pthread_mutex_unlock(&native_); }

private:
    friend class condition;

    ::pthread_mutex_t native_ = PTHREAD_MUTEX_INITIALIZER;
};

class [[nodiscard]] scoped_lock {
public:
    explicit scoped_lock(mutex& target) noexcept : target_(target) { target_.lock(); }

    scoped_lock(scoped_lock const&) = delete;
    scoped_lock& operator=(scoped_lock const&) = delete;

    ~scoped_lock() { target_.unlock(); }

private:
    mutex& target_;
};

class condition {
public:
    condition() noexcept;
    condition(condition const&) = delete;
    condition& operator=(condition const&) = delete;
    ~condition();

    /// Requires: `locked` is held. May wake spuriously.
    void wait(mutex& locked) noexcept;

    /// The same, until CLOCK_MONOTONIC reaches `deadline_ns`; false when it has.
    [[nodiscard]] bool wait_until(mutex& locked, std::uint64_t deadline_ns) noexcept;

    void notify_all() noexcept;

private:
    ::pthread_cond_t native_;
};

}  // namespace weft::detail
