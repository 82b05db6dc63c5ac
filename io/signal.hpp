#pragma once

#include <weft/io/op/descriptor_state.hpp>
#include <weft/runtime/task/task.hpp>
#include <weft/runtime/values/result.hpp>

#include <initializer_list>
#include <system_error>
#include <utility>

namespace weft {

class signal_set;

/// What `co_await signals.next()` waits in: a task, and by itself a branch of a select.
///
/// Thread safety, cancellation, lifetime, resumption, errors: see signal_set.
/// Complexity: one frame.
/// Example: examples/graceful_shutdown.cpp
class [[nodiscard]] next_signal : public task<int> {
public:
    // --- as a branch of a select, which waits without effect, and then tries ---------------------
    [[nodiscard]] task<result<void>> until_ready() const;
    [[nodiscard]] bool try_complete(std::error_code waited) noexcept;
    [[nodiscard]] int take() const;

private:
    friend class signal_set;

    next_signal(detail::descriptor_state& state, task<int> whole) noexcept
        : task<int>(std::move(whole))
        , state_(&state) {}

    detail::descriptor_state* state_;
    int number_ = 0;
    std::error_code failed_;
};

/// Signals of the process as something to await.
///
/// The constructor blocks the signals in the calling thread, so that threads made afterwards block
/// them, too: make the set in `main`, before the runtime. They stay blocked when the set is gone.
///
/// Thread safety: any number of tasks may wait, on any workers; each signal goes to one of them.
/// Cancellation: a stop ends a waiting next() and unwinds its task; it has taken no signal then.
///     As a branch of a select, next() takes a signal only if it wins. In a race of tasks, or in a
///     task that is a branch, the loser may have taken one in the same moment.
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
    [[nodiscard]] next_signal next();

private:
    [[nodiscard]] static task<int> wait_for_next(detail::descriptor_state& state);

    detail::descriptor_state state_;
};

}  // namespace weft
