#pragma once

/// A runtime for tests of code that sleeps, retries and times out: its time is virtual.

#include <weft/runtime/pool/runtime_base.hpp>
#include <weft/runtime/testing/virtual_time.hpp>
#include <weft/runtime/time/sleep.hpp>

#include <source_location>
#include <utility>

namespace weft::test {

/// Keeps virtual time from moving by itself while it lives. Made by runtime::hold_time().
///
/// Thread safety: an object belongs to one thread at a time, which may be a worker or a foreign
///     thread.
/// Cancellation: never suspends.
/// Lifetime: must end before its runtime does.
/// Complexity: one lock.
/// Errors: none.
class [[nodiscard]] time_hold {
public:
    time_hold(time_hold&& other) noexcept : clock_(std::exchange(other.clock_, nullptr)) {}

    time_hold& operator=(time_hold&& other) noexcept {
        std::swap(clock_, other.clock_);
        return *this;
    }

    ~time_hold() { release(); }

    /// Ends the hold early.
    void release() noexcept {
        if (clock_ != nullptr) {
            std::exchange(clock_, nullptr)->end_hold();
        }
    }

private:
    friend class runtime;

    explicit time_hold(detail::virtual_clock& clock) noexcept : clock_(&clock) {
        clock.begin_hold();
    }

    detail::virtual_clock* clock_;
};

/// How to build a test runtime.
struct runtime_options {
    /// With one, the order in which tasks run depends on the program alone; 0: one.
    unsigned workers = 1;

    /// Hears of the errors of spawned tasks that nobody joins; at first, they go to stderr.
    error_hook on_unhandled_error = error_hook();
};

/// A runtime whose time is virtual: nobody waits for real, and every run is like the last.
///
/// Time stands still while any task is ready. When all of them wait, it jumps to the next deadline,
/// so that `block_on(sleep a day)` returns at once and a timeout strikes exactly when nothing else
/// can happen. It does so during `block_on` and `advance` only: what the test does between two
/// calls takes no time, and tasks that were spawned sleep on meanwhile.
///
///     weft::test::runtime rt;
///     auto const start = rt.now();
///     rt.block_on(client_with_retries());   // sleeps 1 s, 2 s, 4 s: takes microseconds
///     CHECK(std::chrono::round<std::chrono::seconds>(rt.now() - start) == 7s);
///
/// While a call of blocking() waits for its thread or goes on, time does not move by itself either.
/// What else happens outside of the runtime takes no virtual time, and virtual time does not wait
/// for it: while a task waits for a foreign thread and another sleeps, the sleep ends at once.
/// Where that is not wanted, hold the time for as long as the foreign work takes:
///
///     auto hold = rt.hold_time();
///     std::thread foreign([hold = std::move(hold), &done] { done.set(); });
///
/// Tasks read this time from weft::clock::now(); other threads take it from `now()`. Sleeps end up
/// to 1.024 µs late, the grain of a worker's timers, so round before you compare. A task that
/// yields in a loop until time has passed waits for ever, and so does one that sleeps for ever,
/// which is 146 years or longer: time does not go that far.
///
/// Thread safety: every member may be called from any thread at the same time, except the
///     destructor; `block_on` and `advance` not on workers, `advance` by one thread at a time.
/// Cancellation: as for runtime_base.
/// Lifetime: as for runtime_base. Time moves by itself while the destructor waits.
/// Resumption: with one worker, the default, the order in which tasks run depends on the program
///     alone; with several, on the threads.
/// Complexity: a jump in time costs one lock.
/// Errors: as for runtime_base.
/// Example: examples/virtual_time.cpp
class runtime : private detail::virtual_clock, public runtime_base {
public:
    explicit runtime(runtime_options const& options = runtime_options());
    ~runtime();

    /// runtime_base::block_on; time moves by itself from the start of the task to its end.
    template <detail::plain_value T>
    T block_on(task<T> work) {
        return runtime_base::block_on(self_advancing(time(), std::move(work)));
    }

    template <detail::no_plain_task Work, class... Arguments>
    decltype(auto) block_on(Work&& work, Arguments&&... arguments) {
        return block_on(
            detail::as_task(static_cast<Work&&>(work), static_cast<Arguments&&>(arguments)...));
    }

    /// runtime_base::join; time moves by itself until the last task has ended.
    void join() noexcept;

    /// runtime_base::shutdown; the grace is virtual time, which moves by itself when the tasks have
    /// been asked to stop.
    void shutdown(time_span grace = time_span(),
                  std::source_location at = std::source_location::current()) noexcept;

    /// The virtual time.
    [[nodiscard]] clock::time_point now() const noexcept;

    /// Moves time on by `distance`, jumping from deadline to deadline so that everything that is
    /// due on the way runs at its time, and returns when every task waits again. With zero, lets
    /// what is ready run.
    void advance(time_span distance) noexcept;

    /// Time does not move by itself until the hold ends; `advance` moves it nevertheless.
    time_hold hold_time() noexcept { return time_hold(time()); }

private:
    [[nodiscard]] detail::virtual_clock& time() noexcept { return *this; }

    template <class T>
    static task<T> self_advancing(detail::virtual_clock& time, task<T> work) {
        detail::self_advance const moving(time);
        co_return co_await std::move(work);
    }
};

}  // namespace weft::test
