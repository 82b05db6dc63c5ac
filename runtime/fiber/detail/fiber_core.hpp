#pragma once

/// A fiber: a call stack that is run by a coroutine.
///
/// Protocol. Two coroutines stand behind a fiber: the *task* that weft::fiber gives, and below it
/// the *driver* (drive()), which resumes the stack whenever it is resumed itself. Only one of
/// the driver and the stack runs at a time, and both run on the same thread.
///
///   await on the stack   makes the awaiter there; where that is not ready, notes it in step_ and
///                        switches to the driver, which suspends, and hands itself to the awaiter
///   the driver resumes   switches to the stack, where the await ends
///   f has ended          switches to the driver for good, which ends, and the task with it
///   a stop               is delivered to the driver, which is destroyed: it has nothing that needs
///                        care. The task, which watches it, goes on. It gives the stack the order
///                        to unwind, and switches to it: the await there throws fiber_stopped, and
///                        so does every further one, until f has ended. Then the task is stopped.
///
/// I1 The awaiter sees the driver suspended, so that it may be resumed on another thread before
///    await_suspend has returned: the stack has been left by then.
/// I2 A fiber is resumed, and its stack unwound, at its home: the worker on which it began, unless
///    it may migrate. Where it goes on elsewhere, it is sent home before the switch
///    (send_home(), the only place that knows of homes): code on a stack may keep the address of a
///    thread_local variable over an await, since its compiler takes it for the same function on the
///    same thread.
/// I3 What the thread keeps of exceptions that are caught or on their way belongs to a stack, and
///    is exchanged at each switch: so awaits may stand in handlers and in destructors.
/// I4 The stack is given back behind the last switch from it.
/// I5 A stack that is ordered to unwind never switches to the driver before f has ended.

#include <weft/runtime/core/remote_request.hpp>
#include <weft/runtime/coro/promise.hpp>
#include <weft/runtime/fiber/detail/fiber_stack.hpp>
#include <weft/runtime/fiber/detail/jump.hpp>
#include <weft/runtime/sched/worker.hpp>
#include <weft/runtime/task/task.hpp>

#include <concepts>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <type_traits>
#include <utility>

namespace weft::detail {

/// What a thread keeps of exceptions, as the C++ ABI for Itanium lays it out.
struct [[gnu::may_alias]] exceptions_in_hand {
    void* caught = nullptr;
    unsigned uncaught = 0;

    [[nodiscard]] bool empty() const noexcept { return caught == nullptr && uncaught == 0; }

    void exchange_with(exceptions_in_hand& other) noexcept {
        if (!empty() || !other.empty()) [[unlikely]] {
            std::swap(caught, other.caught);
            std::swap(uncaught, other.uncaught);
        }
    }
};

/// One side of a switch, as the sanitizers know it. The same in every build: the library and its
/// user need not be built alike.
struct switch_side {
    void* fake_stack = nullptr;    // AddressSanitizer's, while the side is left
    void const* bottom = nullptr;  // of the stack
    std::size_t size = 0;
    void* known_as = nullptr;  // ThreadSanitizer's name of it
};

struct fibers_of_thread;

class fiber_core {
public:
    /// Runs the user's function and keeps what it returns. On the fiber's stack.
    using run_function = void (*)(fiber_core&);

    /// Hands the suspended driver to an awaiter. Gives what runs next.
    using suspend_function = std::coroutine_handle<> (*)(fiber_core&, void* awaiter, promise_base&);

    fiber_core(fiber_core const&) = delete;
    fiber_core& operator=(fiber_core const&) = delete;

    // --- on the fiber's stack ---------------------------------------------------------

    /// The fiber whose stack this is. Aborts where there is none, with the name of the function,
    /// and throws fiber_stopped in one that is stopped.
    [[nodiscard]] static fiber_core& current(char const* function);

    /// Hands the driver to `awaiter`, and returns when that resumes it. Throws fiber_stopped when
    /// it was stopped, and what await_suspend threw.
    void suspend(void* awaiter, suspend_function function) {
        awaiter_ = awaiter;
        suspend_ = function;
        if constexpr (asan_enabled || tsan_enabled) {
            switch_out();
        } else {
            driver_at_ = jump(jump_, driver_at_, nullptr).left_at;
        }
        if (order_ != order::go_on) [[unlikely]] {
            obey();
        }
    }

    /// For a suspend_function: await_suspend has thrown what is being handled.
    void note_error() noexcept {
        error_ = std::current_exception();
        order_ = order::rethrow;
    }

    // --- the task and the driver, on the stack of a worker ------------------------------

    /// The driver.
    [[nodiscard]] static task<> drive(fiber_core& self);

    [[nodiscard]] bool is_away() const noexcept;

    /// The suspended coroutine goes on at home (I2), unless another worker takes it from there: it
    /// looks again. The last access to the fiber.
    void send_home(promise_base& waiter) noexcept;

    /// At home, when the driver has been stopped: unwinds the stack.
    void unwind() noexcept;

    [[nodiscard]] fiber_stack const& stack() const noexcept { return stack_; }

protected:
    /// On the worker that becomes its home. Throws std::system_error for want of a stack.
    fiber_core(run_function run, std::size_t stack_size, bool may_migrate);
    ~fiber_core();

    void rethrow_error() const {
        if (error_ != nullptr) [[unlikely]] {
            std::rethrow_exception(error_);
        }
    }

private:
    struct switching;
    struct turn;

    enum class order : std::uint8_t { go_on, rethrow, unwind };

    struct way_home : remote_request {
        way_home() noexcept : remote_request(&arrived) {}

        static void arrived(remote_request& request) noexcept;

        promise_base* traveller = nullptr;
        worker* home = nullptr;
    };

    WEFT_NOINLINE void switch_out() noexcept;
    void run_function_of_user() noexcept;
    WEFT_COLD void prepare(fibers_of_thread& here) noexcept;
    WEFT_COLD void give_stack_back() noexcept;
    WEFT_COLD void obey();

    // --- constant after construction ------------------------------------------------
    run_function run_;
    jump_function jump_;
    way_home home_;

    // --- the stack and the driver, one after the other ---------------------------------
    fiber_stack stack_;
    void* left_at_ = nullptr;    // where the fiber was left; null before its first turn
    void* driver_at_ = nullptr;  // where the driver was left
    void* awaiter_ = nullptr;
    suspend_function suspend_ = nullptr;
    std::exception_ptr error_;
    exceptions_in_hand exceptions_;  // of the side that does not run (I3)
    std::uint32_t stops_thrown_ = 0;
    order order_ = order::go_on;
    bool has_ended_ = false;
    switch_side own_side_;
    switch_side driver_side_;
};

/// What the task of a stopped fiber awaits until it is at home.
class [[nodiscard]] fiber_homecoming {
public:
    explicit fiber_homecoming(fiber_core& owner) noexcept : fiber_(owner) {}

    [[nodiscard]] bool await_ready() const noexcept { return !fiber_.is_away(); }

    template <std::derived_from<promise_base> Promise>
    void await_suspend(std::coroutine_handle<Promise> waiter) noexcept {
        fiber_.send_home(waiter.promise());
    }

    void await_resume() const noexcept {}

private:
    fiber_core& fiber_;
};

/// weft::yield() without the clocks.
class [[nodiscard]] fiber_yield {
public:
    [[nodiscard]] bool await_ready() const noexcept { return false; }

    template <std::derived_from<promise_base> Promise>
    void await_suspend(std::coroutine_handle<Promise> driver) const noexcept {
        requeue(driver.promise());
    }

    void await_resume() const noexcept {}

private:
    static void requeue(promise_base& driver) noexcept;
};

/// A suspend_function.
template <class Awaiter>
std::coroutine_handle<> suspend_in(fiber_core& fiber, void* at, promise_base& driver) noexcept {
    auto& awaiter = *static_cast<Awaiter*>(at);
    auto const handle = std::coroutine_handle<promise_base>::from_promise(driver);
    using answer = decltype(awaiter.await_suspend(handle));
    try {
        if constexpr (std::is_void_v<answer>) {
            awaiter.await_suspend(handle);
            return std::noop_coroutine();
        } else if constexpr (std::is_same_v<answer, bool>) {
            return awaiter.await_suspend(handle) ? std::noop_coroutine()
                                                 : std::coroutine_handle<>(handle);
        } else {
            return awaiter.await_suspend(handle);
        }
    } catch (...) {
        fiber.note_error();
        return handle;
    }
}

}  // namespace weft::detail
