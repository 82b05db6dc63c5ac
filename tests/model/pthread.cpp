/// In an execution threads, mutexes, conditions and the clock are the stepper's; elsewhere the
/// system's. What a program defines goes before what the C library does.

#include <pthread.h>

#include <weft/runtime/base/assert.hpp>
#include <weft/tests/model/stepper.hpp>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

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

constexpr std::uint64_t second = 1'000'000'000;

std::uint64_t nanoseconds(timespec const& time) noexcept {
    return static_cast<std::uint64_t>(time.tv_sec) * second +
           static_cast<std::uint64_t>(time.tv_nsec);
}

/// What a thread of the system would be started with.
struct start_arguments {
    void* (*function)(void*);
    void* argument;
};

void run(void* given) noexcept {
    auto* const arguments = static_cast<start_arguments*>(given);
    start_arguments const copy = *arguments;
    delete arguments;
    copy.function(copy.argument);
}

}  // namespace

extern "C" {

int pthread_create(pthread_t* made,
                   pthread_attr_t const* attributes,
                   void* (*function)(void*),
                   void* argument) noexcept {
    if (weft::model::exploring()) {
        *made = weft::model::thread::start(&run, new start_arguments{function, argument});
        return 0;
    }
    static auto* const next = next_of(pthread_create, "pthread_create");
    return next(made, attributes, function, argument);
}

int pthread_join(pthread_t joined, void** result) {
    if (weft::model::exploring()) {
        weft::model::thread::join(static_cast<unsigned>(joined));
        return 0;
    }
    static auto* const next = next_of(pthread_join, "pthread_join");
    return next(joined, result);
}

int pthread_detach(pthread_t detached) noexcept {
    if (weft::model::exploring()) {
        return 0;
    }
    static auto* const next = next_of(pthread_detach, "pthread_detach");
    return next(detached);
}

int pthread_setname_np(pthread_t named, char const* name) noexcept {
    if (weft::model::exploring()) {
        return 0;
    }
    static auto* const next = next_of(pthread_setname_np, "pthread_setname_np");
    return next(named, name);
}

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

int pthread_mutex_destroy(pthread_mutex_t* mutex) noexcept {
    if (weft::model::exploring()) {
        weft::model::forget(mutex);
        return 0;
    }
    static auto* const next = next_of(pthread_mutex_destroy, "pthread_mutex_destroy");
    return next(mutex);
}

int pthread_cond_wait(pthread_cond_t* condition, pthread_mutex_t* mutex) {
    if (weft::model::exploring()) {
        weft::model::wait(condition, mutex, weft::model::no_deadline);
        return 0;
    }
    static auto* const next = next_of(pthread_cond_wait, "pthread_cond_wait");
    return next(condition, mutex);
}

int pthread_cond_timedwait(pthread_cond_t* condition,
                           pthread_mutex_t* mutex,
                           timespec const* deadline) {
    if (weft::model::exploring()) {
        return weft::model::wait(condition, mutex, nanoseconds(*deadline)) ? 0 : ETIMEDOUT;
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

int clock_gettime(clockid_t clock, timespec* time) noexcept {
    if (weft::model::exploring()) {
        time->tv_sec = static_cast<std::time_t>(weft::model::now() / second);
        time->tv_nsec = static_cast<long>(weft::model::now() % second);
        return 0;
    }
    static auto* const next = next_of(clock_gettime, "clock_gettime");
    return next(clock, time);
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
