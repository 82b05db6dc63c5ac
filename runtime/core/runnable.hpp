#pragma once

/// The link by which anything that a worker can run stands in a queue. Concurrent queues hold
/// pointers to it and know nothing of coroutines.

#include <weft/runtime/base/intrusive_queue.hpp>

#include <cstdint>

namespace weft::detail {

struct runnable {
    /// Owned by whoever holds the runnable: the one queue that contains it, or the thread that took
    /// it out.
    runnable* next;

protected:
    runnable() noexcept {}

    ~runnable() = default;

public:
    runnable(runnable const&) = delete;
    runnable& operator=(runnable const&) = delete;
};

/// Runnables in the order in which they became ready, handed around by one thread.
using ready_list = intrusive_queue<&runnable::next>;

/// What queues have for thieves. `one`: a runnable in a worker's ring that this worker runs itself
/// soon, unless it is busy for long.
enum class supply : std::uint8_t { none, one, plenty };

}  // namespace weft::detail
