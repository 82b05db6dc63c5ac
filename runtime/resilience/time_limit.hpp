#pragma once

/// A time limit as a policy: one per attempt where it stands below a retry.

#include <weft/runtime/base/mutex.hpp>
#include <weft/runtime/resilience/detail/attempt.hpp>
#include <weft/runtime/resilience/policy.hpp>
#include <weft/runtime/sched/pass_stop.hpp>
#include <weft/runtime/time/timeout.hpp>

#include <cstdint>

namespace weft {

struct time_limit_counters {
    std::uint64_t calls = 0;
    std::uint64_t timed_out = 0;  ///< calls that ended with std::errc::timed_out
};

/// Stops work that has not ended in time. See timeout().
///
/// Thread safety: every member may be called from any thread at the same time, except the
///     destructor.
/// Cancellation: a stop unwinds the work and the caller.
/// Lifetime: must outlive its calls. A call keeps the factory.
/// Resumption: as timeout().
/// Complexity: two frames and one timer per call.
/// Errors: std::system_error with std::errc::timed_out; else the work's own.
/// Example: examples/resilient_client.cpp
class time_limit {
public:
    explicit time_limit(time_span limit) noexcept : limit_(limit) {}

    time_limit(time_limit const&) = delete;
    time_limit& operator=(time_limit const&) = delete;
    ~time_limit() = default;

    template <task_factory F>
    [[nodiscard]] task<factory_value_t<F>> run(F factory) {
        co_await detail::checkpoint();
        auto const give = [&] { return within(limit_, factory()); };
        detail::attempt_operation<factory_value_t<F>> work(give);
        co_await work;
        count(work.error());
        if (work.was_stopped()) {
            co_await detail::end_as_stopped();
        }
        co_return work.take();
    }

    [[nodiscard]] time_limit_counters counters() const noexcept;

private:
    template <class T>
    static task<T> within(time_span limit, task<T> work) {
        co_return co_await timeout(limit, std::move(work));
    }

    void count(std::exception_ptr const& error) noexcept;

    // --- constant after construction -------------------------------------------
    time_span limit_;

    // --- any thread, under mutex_ ------------------------------------------------
    mutable detail::mutex mutex_;
    time_limit_counters counters_;
};

}  // namespace weft
