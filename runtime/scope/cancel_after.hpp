#pragma once

/// A stop that comes by itself after a while.
///
/// Protocol. The wait is a task under the root scope, and a source that it stops when its time has
/// come. Both live in a block on the heap, which the task and the owner share. The owner's callback
/// on that source passes the stop on.
///   time has come: the task stops its source → the callback passes the stop on
///   owner goes:    withdraws the callback, asks the task to end, drops its share
/// I1 After the owner's destructor nothing is passed on: withdraw() waits for a callback that runs
///    elsewhere.

#include <weft/runtime/stop/stop_token.hpp>
#include <weft/runtime/task/task.hpp>
#include <weft/runtime/time/sleep.hpp>

#include <source_location>

namespace weft {

namespace detail {

/// The part of cancel_after that does not depend on who is to stop.
class later_stop : private stop_node {
public:
    using function = void (*)(void* target, stop_reason const&) noexcept;

    /// `pass_on` may be called at once, on another thread.
    later_stop(void* target, function pass_on, time_span limit, std::source_location at);
    later_stop(later_stop const&) = delete;
    later_stop& operator=(later_stop const&) = delete;
    ~later_stop();

private:
    struct shared;
    class share;

    static task<> wait(share own, time_span limit, std::source_location at);
    static void on_stop(stop_node& node) noexcept;

    // --- constant after construction -------------------------------------------
    void* target_;
    function pass_on_;
    shared* shared_;
};

}  // namespace detail

/// Asks a stop_source, a nursery or a join_handle to stop after a while, unless it is destroyed
/// before:
///
///     weft::stop_source source;
///     weft::cancel_after const later(5s, source);
///
/// To limit one task, use timeout(): it waits for the task, and costs less.
///
/// Thread safety: constructed in a task that a runtime runs; destroyed by its owner, on any thread.
///     The stop is requested on one of the runtime's workers.
/// Cancellation: never suspends. The reason of the stop is `deadline`, with the place of the
///     construction. A stop of the task that made it does not end the wait; the end of the runtime
///     does.
/// Lifetime: must end before what it is to stop. Its destructor waits for a request that is under
///     way on another thread, and may be called by what that request calls.
/// Complexity: two small allocations, one timer.
/// Errors: std::bad_alloc.
/// Example: examples/timeout.cpp
template <class Target>
class [[nodiscard]] cancel_after : private detail::later_stop {
public:
    cancel_after(time_span limit,
                 Target& target,
                 std::source_location at = std::source_location::current())
        : later_stop(&target, &pass_on, limit, at) {}

private:
    static void pass_on(void* target, stop_reason const& reason) noexcept {
        static_cast<Target*>(target)->request_stop(reason);
    }
};

}  // namespace weft
