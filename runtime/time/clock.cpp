#include <weft/runtime/time/clock.hpp>

#include <weft/runtime/base/sys.hpp>
#include <weft/runtime/sched/worker.hpp>

#include <algorithm>

namespace weft {

namespace detail {

namespace {

/// Of a thread that works for a task without being a worker.
thread_local driver const* borrowed_source = nullptr;

/// Whose time this thread reads, or null for the real time.
WEFT_NOINLINE driver const* time_source() noexcept {
    worker* const here = current_worker();
    return here != nullptr ? &here->waits_in() : borrowed_source;
}

/// `time` of the clock that shows `now`, on the clock that shows `other_now`.
template <class To, class From>
typename To::time_point moved(typename From::time_point time,
                              typename From::time_point now,
                              typename To::time_point other_now) noexcept {
    using std::chrono::nanoseconds;
    if (time > now) {
        time_span const ahead(time - now);
        time_span const room(To::time_point::max() - other_now);
        return other_now + nanoseconds(std::min(ahead, room).nanoseconds());
    }
    return other_now - (now - std::max(time, typename From::time_point()));
}

}  // namespace

WEFT_NOINLINE borrowed_time::borrowed_time(driver const& source) noexcept {
    borrowed_source = &source;
}

WEFT_NOINLINE borrowed_time::~borrowed_time() {
    borrowed_source = nullptr;
}

}  // namespace detail

clock::time_point clock::now() noexcept {
    detail::driver const* const source = detail::time_source();
    return detail::to_time_point(source != nullptr ? source->now() : detail::sys::monotonic_ns());
}

clock::time_point clock::from_steady(std::chrono::steady_clock::time_point time) noexcept {
    detail::driver const* const source = detail::time_source();
    if (source == nullptr || source->has_running_clock()) {
        return time_point(time.time_since_epoch());
    }
    return detail::moved<clock, std::chrono::steady_clock>(
        time, std::chrono::steady_clock::now(), now());
}

std::chrono::steady_clock::time_point clock::to_steady(time_point time) noexcept {
    detail::driver const* const source = detail::time_source();
    if (source == nullptr || source->has_running_clock()) {
        return std::chrono::steady_clock::time_point(time.time_since_epoch());
    }
    return detail::moved<std::chrono::steady_clock, clock>(
        time, now(), std::chrono::steady_clock::now());
}

}  // namespace weft
