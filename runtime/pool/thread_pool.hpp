#pragma once

#include <weft/runtime/pool/runtime_base.hpp>

namespace weft {

/// How to build a thread_pool: `weft::thread_pool pool({.workers = 4});`.
struct thread_pool_options {
    /// 0: one per available processor.
    unsigned workers = 0;

    /// Hears of the errors of spawned tasks that nobody joins; at first, they go to stderr.
    error_hook on_unhandled_error = error_hook();
};

/// A runtime whose workers only compute: work stealing, timers and every combinator, no I/O.
///
/// Thread safety, cancellation, lifetime: as for runtime_base.
/// Complexity: one thread per worker.
/// Errors: the constructor throws std::system_error when a thread cannot be started,
///     std::bad_alloc, and std::invalid_argument for more than 1024 workers; then nothing is left.
///     The rest as for runtime_base.
/// Example: examples/parallel_sum.cpp
class thread_pool : public runtime_base {
public:
    explicit thread_pool(thread_pool_options const& options = thread_pool_options());
    ~thread_pool() = default;
};

/// The number of processors that this process may use, at least 1.
[[nodiscard]] unsigned available_processors() noexcept;

}  // namespace weft
