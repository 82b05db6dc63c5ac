#pragma once

/// Bounds how much of one kind of work runs, and how much of it waits.

#include <weft/runtime/base/argument.hpp>
#include <weft/runtime/resilience/detail/permit_queue.hpp>
#include <weft/runtime/resilience/policy.hpp>
#include <weft/runtime/sched/pass_stop.hpp>

#include <cstddef>
#include <cstdint>

namespace weft {

struct bulkhead_options {
    std::size_t concurrent = 16;  ///< at least 1
    std::size_t queued = 64;      ///< calls that may wait; 0: nobody waits
};

struct bulkhead_counters {
    std::uint64_t admitted = 0;
    std::uint64_t queued = 0;  ///< calls that had to wait
    std::uint64_t rejected = 0;
    std::uint64_t stopped_waiting = 0;
    std::size_t running = 0;  ///< now
    std::size_t waiting = 0;  ///< now
};

/// Lets a number of calls run at once; the next ones wait in a queue, first come, first served;
/// when that is full, calls are refused.
///
/// Thread safety: every member may be called from any thread at the same time, except the
///     destructor.
/// Cancellation: a stop while it waits takes a call out of the queue; a call that is let in and
///     stopped at the same moment runs and meets the stop there.
/// Lifetime: must outlive its calls. A call keeps the factory.
/// Resumption: a call that has waited goes on through the ready queue of the pool.
/// Complexity: two locks per call, O(1), no allocation but the frame.
/// Errors: `rejected` with errc::bulkhead_full; else the work's own. std::invalid_argument for
///     options that let nothing run.
/// Example: examples/resilient_client.cpp
class bulkhead {
public:
    explicit bulkhead(bulkhead_options const& options = bulkhead_options())
        : permits_(options.concurrent, options.queued) {
        detail::check_argument(options.concurrent >= 1, "a bulkhead lets at least one call run");
    }

    template <task_factory F>
    [[nodiscard]] task<factory_value_t<F>> run(F factory) {
        co_await detail::checkpoint();
        bool const granted = co_await permits_.acquire();
        if (!granted) {
            detail::throw_rejected(errc::bulkhead_full, clock::duration::zero());
        }
        detail::permit_holder const permit(permits_);
        co_return co_await factory();
    }

    [[nodiscard]] bulkhead_counters counters() const noexcept;

private:
    detail::permit_queue permits_;
};

}  // namespace weft
