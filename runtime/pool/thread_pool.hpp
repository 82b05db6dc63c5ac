#pragma once

#include <weft/runtime/pool/runtime_base.hpp>

namespace weft {

/// A runtime whose workers only compute: work stealing, timers and every combinator, no I/O.
///
/// Thread safety, cancellation, lifetime, errors: as for runtime_base.
/// Complexity: one thread per worker.
/// Example: examples/parallel_sum.cpp
class thread_pool : public runtime_base {
public:
    /// 0 workers means one per available processor. Throws std::system_error when a thread cannot
    /// be started, and std::bad_alloc; then nothing is left.
    explicit thread_pool(unsigned worker_count = 0, error_hook on_unhandled_error = error_hook());
    ~thread_pool() = default;
};

/// The number of processors that this process may use, at least 1.
[[nodiscard]] unsigned available_processors() noexcept;

}  // namespace weft
