#pragma once

#include <weft/io/socket_state.hpp>
#include <weft/runtime/task.hpp>

#include <initializer_list>

namespace weft {

/// Signals of the process as something to await.
///
/// The constructor blocks the signals in the calling thread, so that threads made afterwards block
/// them, too: make the set in `main`, before the runtime. They stay blocked when the set is gone.
///
/// Thread safety: any number of tasks may wait, on any workers; each signal goes to one of them.
/// Cancellation: a stop ends a waiting next() and unwinds its task; it has taken no signal then. In
///     a race of tasks the loser may have taken one in the same moment: wait for signals in a task
///     of their own.
/// Lifetime: must outlive its operations.
/// Resumption: on the pool, through the ready queue of the worker that began the wait.
/// Complexity: one descriptor; a frame and a system call per signal.
/// Errors: std::system_error from the constructor. Signals of one number that come while one of
///     them is pending are one signal: the kernel counts no further.
/// Example: examples/graceful_shutdown.cpp
class signal_set {
public:
    explicit signal_set(std::initializer_list<int> numbers);

    signal_set(signal_set const&) = delete;
    signal_set& operator=(signal_set const&) = delete;

    /// Waits for the next signal and yields its number.
    [[nodiscard]] task<int> next();

private:
    detail::socket_state state_;
};

}  // namespace weft
