/// In an execution the threads' mutexes and conditions are the stepper's; elsewhere the system's.
/// A program that defines these functions is asked before the C library is.

#include <pthread.h>

#include <weft/runtime/base/assert.hpp>
#include <weft/tests/model/stepper.hpp>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <dlfcn.h>
#include <sched.h>

namespace {

template <class Function>
Function* next_of(Function&, char const* name) noexcept {
    void* const address = ::dlsym(RTLD_NEXT, name);
    Function* function = nullptr;
    std::memcpy(&function, &address, sizeof function);
    return function;
}

}  // namespace

extern "C" {

int pthread_mutex_lock(pthread_mutex_t* mutex) noexcept {
    if (weft::model::exploring()) {
        weft::model::lock(mutex);
        return 0;
    }
    static auto* const next = next_of(pthread_mutex_lock, "pthread_mutex_lock");
    return next(mutex);
}

int pthread_mutex_unlock(pthread_mutex_t* mutex) noexcept {
    if (weft::model::exploring()) {
        weft::model::unlock(mutex);
        return 0;
    }
    static auto* const next = next_of(pthread_mutex_unlock, "pthread_mutex_unlock");
    return next(mutex);
}

int pthread_cond_wait(pthread_cond_t* condition, pthread_mutex_t* mutex) {
    if (weft::model::exploring()) {
        weft::model::wait(condition, mutex, false);
        return 0;
    }
    static auto* const next = next_of(pthread_cond_wait, "pthread_cond_wait");
    return next(condition, mutex);
}

int pthread_cond_timedwait(pthread_cond_t* condition,
                           pthread_mutex_t* mutex,
                           timespec const* deadline) {
    if (weft::model::exploring()) {
        return weft::model::wait(condition, mutex, true) ? 0 : ETIMEDOUT;
    }
    static auto* const next = next_of(pthread_cond_timedwait, "pthread_cond_timedwait");
    return next(condition, mutex, deadline);
}

int pthread_cond_broadcast(pthread_cond_t* condition) noexcept {
    if (weft::model::exploring()) {
        weft::model::notify(condition);
        return 0;
    }
    static auto* const next = next_of(pthread_cond_broadcast, "pthread_cond_broadcast");
    return next(condition);
}

int sched_yield() noexcept {
    if (weft::model::exploring()) {
        weft::model::yield();
        return 0;
    }
    static auto* const next = next_of(sched_yield, "sched_yield");
    return next();
}

}  // extern "C"

namespace weft::detail {

/// A violated assertion of the library is a failed execution, with a trace and a way to repeat it.
void panic(char const* file, int line, char const* expression, char const* message) noexcept {
    if (model::exploring()) {
        model::fail(message);
    }
    std::fprintf(stderr, "%s:%d: %s (%s)\n", file, line, message, expression);
    std::abort();
}

}  // namespace weft::detail
