#pragma once

/// Plain functions that suspend. A part of the library that needs Boost.Context: WEFT_HAS_FIBERS
/// tells whether this build has it.

#include <weft/runtime/base/argument.hpp>
#include <weft/runtime/coro/awaitable.hpp>
#include <weft/runtime/fiber/detail/fiber_core.hpp>
#include <weft/runtime/task/call.hpp>
#include <weft/runtime/task/detail/settle.hpp>
#include <weft/runtime/task/task.hpp>
#include <weft/runtime/values/outcome_slot.hpp>

#include <concepts>
#include <cstddef>
#include <type_traits>
#include <utility>

#if defined(WEFT_HAS_FIBERS) && !WEFT_HAS_FIBERS
#error "this weft has no fibers: install libboost-context1.81-dev, build it with -Dfiber=enabled"
#endif

namespace weft {

/// How a fiber runs: `fiber(f, {.stack_size = 1 << 20})`.
struct fiber_options {
    /// In bytes; rounded up to a power of two. What is not used is not there.
    std::size_t stack_size = std::size_t{256} * 1024;

    /// Whether the fiber may go on on another worker than it began on. See fiber().
    bool may_migrate = false;
};

/// What is thrown through a fiber that is stopped. No std::exception. Code that catches everything
/// lets it through: `catch (weft::fiber_stopped const&) { throw; }`.
///
/// Thread safety: a value.
/// Cancellation: is one.
/// Lifetime: refers to nothing.
/// Complexity: one throw for each await on the way out.
/// Errors: none.
class fiber_stopped {
    friend class detail::fiber_core;

    fiber_stopped() noexcept = default;
};

namespace detail {

template <class Function>
using fiber_result_t = kept_t<call_result_t<Function>>;

/// A fiber with its function, which its task keeps, and with what that returns.
template <class Function>
class fiber_of : public fiber_core {
    using value_type = fiber_result_t<Function>;

public:
    fiber_of(Function& function, fiber_options const& options)
        : fiber_core(&run, options.stack_size, options.may_migrate)
        , function_(function) {}

    ~fiber_of() {
        if (has_value_) {
            value_.end();
        }
    }

    value_type take() {
        rethrow_error();
        return value_.take();
    }

private:
    static void run(fiber_core& base) {
        auto& self = static_cast<fiber_of&>(base);
        if constexpr (std::is_void_v<value_type>) {
            self.call();
            self.value_.emplace();
        } else if constexpr (std::is_reference_v<value_type>) {
            value_type reference = self.call();
            self.value_.emplace(__builtin_addressof(reference));
        } else {
            self.value_.emplace(self.call());
        }
        self.has_value_ = true;
    }

    decltype(auto) call() {
        if constexpr (takes_rvalues<Function>) {
            return detail::invoke(std::move(function_));
        } else {
            return detail::invoke(function_);
        }
    }

    Function& function_;
    outcome_slot<value_type> value_;
    bool has_value_ = false;
};

template <class Function>
task<fiber_result_t<Function>> run_fiber(Function function, fiber_options options) {
    fiber_of<Function> running(function, options);
    settle_operation<void> driver(fiber_core::drive(running), starts::always);
    co_await driver;
    if (driver.was_stopped()) [[unlikely]] {
        while (running.is_away()) {
            co_await fiber_homecoming(running);
        }
        running.unwind();
        co_await end_as_stopped();
    }
    co_return running.take();
}

template <class Awaitable>
await_result_t<Awaitable> await_in_fiber(Awaitable&& work, char const* function) {
    fiber_core& self = fiber_core::current(function);
    auto&& operation = awaiter_of(static_cast<Awaitable&&>(work));
    if (!operation.await_ready()) {
        using operation_type = std::remove_reference_t<decltype(operation)>;
        self.suspend(__builtin_addressof(operation), &suspend_in<operation_type>);
    }
    return operation.await_resume();
}

}  // namespace detail

/// Runs a plain callable as a task, on a stack of its own, so that it, and whatever it calls,
/// however deep, can await by this_fiber::await: for code that is no coroutine and should not
/// become one, such as a recursive parser that reads its input from a socket.
///
/// The fiber is a task like any other: it begins when it is awaited or spawned, and has the stop,
/// the deadline, the task-locals and the runtime of whoever does that. It stays on the worker on
/// which it begins, however long that is busy. With `may_migrate` it goes on wherever it is
/// resumed; then no function of its stack may keep the address of a thread_local variable over an
/// await, and the compiler keeps it unasked where a variable is used before and behind one: `errno`
/// is such a variable, and so are those in the allocators of coroutine frames and of memory. A
/// function that is not inlined and does not await itself is a safe place for them.
///
/// Thread safety: as a task. Without `may_migrate`, the function sees one thread.
/// Cancellation: a stop ends the await that the fiber waits in. That await, and each later one,
///     throws fiber_stopped, which unwinds the stack, on the fiber's worker, before anybody hears
///     of the end; what is thrown or returned meanwhile is dropped. So clean-ups in destructors and
///     handlers run, but they do not await: an await in a destructor of a stack that is being
///     unwound aborts. What has to await stands behind the fiber, in `finally(fiber(f), cleanup)`,
///     or is awaited under `shielded(limit, task)` before. A fiber that catches the stop and never
///     ends aborts, too, after a hundred thousand awaits.
/// Lifetime: takes the callable over; what it refers to must outlive the await. `noexcept`
///     functions between the fiber and an await end the process when it is stopped.
/// Resumption: the awaiter continues where the fiber ended.
/// Complexity: two frames and a stack: two system calls where none of that size is pooled. An await
///     that waits takes two switches of stacks more than in a coroutine, one that is ready takes
///     none.
/// Errors: what the callable throws. std::system_error from the await where the system has no room
///     for the stack or its guard. std::invalid_argument from the call for a stack of less than 16
///     KiB or more than 1 GiB. A stack that is used up ends the process by SIGSEGV, with its size
///     on stderr.
/// Example: examples/fiber_parser.cpp
template <class Function>
    requires requires { typename detail::call_result_t<Function>; }
[[nodiscard]] task<detail::fiber_result_t<Function>> fiber(
    Function function, fiber_options options = fiber_options()) {
    static_assert(!awaitable<detail::call_result_t<Function>>,
                  "the function of a fiber is a plain one: what gives a task needs no fiber, or is "
                  "awaited in it by this_fiber::await");
    detail::check_argument(options.stack_size >= detail::fiber_stack::size_min &&
                               options.stack_size <= detail::fiber_stack::size_max,
                           "fiber: stack_size is from 16 KiB to 1 GiB");
    return detail::run_fiber<Function>(std::move(function), options);
}

/// What code on the stack of a fiber does, from any depth of calls.
///
/// Thread safety: called on the stack of a fiber. Elsewhere it aborts, in a coroutine that a fiber
///     awaits, too, which has no part in its stack.
/// Cancellation: see fiber().
/// Lifetime: what is awaited lives in the expression that makes it, or longer.
/// Resumption: on the fiber's worker; with `may_migrate`, where what is awaited resumes.
/// Complexity: no allocation besides those of what is awaited.
/// Errors: those of what is awaited; fiber_stopped.
/// Example: examples/fiber_parser.cpp
namespace this_fiber {

/// As `co_await work` in a coroutine: gives the value, or throws the error.
template <awaitable Awaitable>
await_result_t<Awaitable> await(Awaitable&& work) {
    return detail::await_in_fiber(static_cast<Awaitable&&>(work), "await");
}

/// As `co_await weft::yield()`: lets the other ready tasks of this worker run first.
inline void yield() {
    detail::await_in_fiber(detail::fiber_yield(), "yield");
}

}  // namespace this_fiber

}  // namespace weft
