#pragma once

/// The part of every weft coroutine that does not depend on its result.
///
/// Protocol. A coroutine ends in one of three ways:
///   value, error  it reaches its final suspend point, which transfers control to `completion_` if
///                 there is one, else to the awaiting coroutine `parent_`.
///   stopped       an operation it awaits reports a stop. The coroutine is never resumed. `unwind`
///                 walks up the chain of plain awaits, destroying frames from the inside out,
///                 until it finds a coroutine with a `completion_` (a scope, a join, as_result, a
///                 timeout, the root) and tells that.
///
/// I1 Exactly one party owns a suspended coroutine: the operation it waits for, the queue it stands
///    in, or the thread that took it out. Only the owner resumes it or queues it to be unwound.
/// I2 While a coroutine waits for a child by a plain await, the child's `slot_` points at the
///    handle that owns the child's frame; `unwind` clears it before it destroys the frame, so that
///    chains of any length unwind without recursion. So do scopes, joins and timeouts nested in one
///    another: a stop walks down to them in one loop (stop/stop_token.hpp), each destroys the
///    frame of what was stopped in it before it is unwound itself, and it is unwound from the
///    worker's queue. A task that was never awaited is destroyed with the tasks that it was given
///    as arguments, recursively.
///
/// When a stopped task ends. A *task* is a coroutine with those that it awaits plainly: the chain
/// of parents up to one with a `completion_`. What can hand a stop out as a value (as_result, the
/// result form of an operation or a combinator) *tells* it; otherwise the task is unwound.
/// S1 A stop is told once. The next await of the task that ends by the stop unwinds it, although it
///    asked for a result: `was_told_` of the coroutine with the completion, looked at where an
///    operation has ended by the stop, and nowhere else (pass_stop.hpp).
/// S2 A stopped task starts nothing whose stop it could be told of: scopes, timeouts, selects,
///    as_result of a task, and the combinators look before they start, and end by the stop.
///    A plain await of a task is a call, and begins; a fork-join (when_all) looks when its budget
///    of forks is spent; `shielded` and clean-ups begin.
/// S3 What never has to wait looks at the stop whenever the budget is spent (ready_budget.hpp), and
///    ends by it instead of taking effect.
/// So a loop that asks for results only, or waits for nothing, ends under a stop. What had begun
/// before the stop still delivers its value: success wins.

#include <weft/runtime/base/assert.hpp>
#include <weft/runtime/core/frame_pool.hpp>
#include <weft/runtime/core/runnable.hpp>
#include <weft/runtime/coro/context.hpp>

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <new>

namespace weft::detail {

class promise_base;
class fork_join;

/// In nested_child: a child is on the stack, but its end is not a return. Neither 0 nor a frame's
/// address, and without the lowest bit, which end_child() masks.
inline constexpr std::uintptr_t names_nobody = 2;

/// The child of a join that this thread runs by a call, below the frame of the parent's fork, so
/// that its end is a return. The lowest bit: its value shall stay in its frame. Zero when there is
/// none, and from the child's end on.
WEFT_STATIC_TLS extern constinit thread_local std::uintptr_t nested_child;

/// Where the unwinding that this thread, which is no worker, is busy with finds what it unwinds
/// next. Null when there is none.
WEFT_STATIC_TLS extern constinit thread_local promise_base** unwound_next;

/// Refers to a context, or to a join whose context is made when somebody asks for it.
///
/// Any thread may read what the coroutine inherits while the coroutine is suspended in a join.
class context_ref {
public:
    context_ref() noexcept {}

    context_ref(context const* made) noexcept : bits_(reinterpret_cast<std::uintptr_t>(made)) {}

    explicit context_ref(fork_join& join) noexcept
        : bits_(reinterpret_cast<std::uintptr_t>(&join) + join_bit) {}

    [[nodiscard]] context const* operator->() const noexcept { return *this; }

    [[nodiscard]] context const& operator*() const noexcept { return *operator->(); }

    operator context const*() const noexcept {
        return join() == nullptr ? reinterpret_cast<context const*>(bits_) : of_join();
    }

    /// Null when it refers to a context.
    [[nodiscard]] fork_join* join() const noexcept {
        return (bits_ & join_bit) == 0 ? nullptr : reinterpret_cast<fork_join*>(bits_ - join_bit);
    }

private:
    static constexpr std::uintptr_t join_bit = 1;

    [[nodiscard]] context const* of_join() const noexcept;

    std::uintptr_t bits_;
};

/// Whoever wants to hear of a coroutine's end. `on_done` runs when the coroutine is suspended for
/// good, with its outcome in the promise, and returns what runs next on this thread.
struct end_hook {
    using function = std::coroutine_handle<> (*)(end_hook&, promise_base&) noexcept;

    explicit end_hook(function f) noexcept : on_done(f) {}

    function on_done;
};

/// What happens to what stands in a queue, when its turn comes.
enum class wake_as : std::uint8_t {
    resume,
    unwind,  ///< an operation was stopped: the coroutine is never resumed
    notify,  ///< completion_ is called, and the mark taken off: it is no coroutine, or not yet one
};

[[nodiscard]] constexpr wake_as unwind_if(bool is_stopped) noexcept {
    return is_stopped ? wake_as::unwind : wake_as::resume;
}

/// `handed_over`: a nested child has put its value where its parent wants it, and ends.
enum class outcome : std::uint8_t { pending, value, error, stopped, handed_over };

class promise_base : public runnable {
public:
    promise_base() noexcept {}  // see the members

    [[nodiscard]] std::coroutine_handle<> handle() noexcept {
        return std::coroutine_handle<promise_base>::from_promise(*this);
    }

    /// The promise in the frame at `frame`. Hides from the compiler that it is, so that it need not
    /// keep the promise's address in a register for the rare uses of it.
    [[nodiscard]] WEFT_ALWAYS_INLINE static promise_base& at(void* frame) noexcept {
        asm("" : "+r"(frame));
        return std::coroutine_handle<promise_base>::from_address(frame).promise();
    }

    [[nodiscard]] static promise_base& from(runnable& item) noexcept {
        return static_cast<promise_base&>(item);
    }

    /// The stop state that operations of this coroutine follow.
    [[nodiscard]] stop_state& stop() const noexcept { return *context_->stop; }

    /// The frame's address: how nested_child names this coroutine.
    [[nodiscard]] WEFT_ALWAYS_INLINE std::uintptr_t frame_address() const noexcept {
        return reinterpret_cast<std::uintptr_t>(
            std::coroutine_handle<promise_base>::from_promise(const_cast<promise_base&>(*this))
                .address());
    }

    /// Run by a call, and free to put its value where its parent wants it.
    [[nodiscard]] WEFT_ALWAYS_INLINE bool is_nested() const noexcept {
        return nested_child == frame_address();
    }

    /// At the final suspend point: true when a nested child has put its value where its parent
    /// wants it. Then it has ended, and its return tells.
    [[nodiscard]] WEFT_ALWAYS_INLINE bool ends_by_return() const noexcept {
        if (outcome_ != outcome::handed_over) {
            return false;
        }
        nested_child = 0;
        return true;
    }

    /// The body threw: clears the mark, so that the parent's fork sees a child that did not end by
    /// returning.
    void clear_nested_mark() const noexcept {
        if (is_nested()) {
            nested_child = names_nobody;
        }
    }

    static void* operator new(std::size_t size) { return frame_pool::allocate(size); }

    static void operator delete(void* frame, std::size_t size) noexcept {
        frame_pool::deallocate(frame, size);
    }

    // What compilers call that tell a frame's alignment (clang: -fcoro-aligned-allocation).
    static void* operator new(std::size_t size, std::align_val_t alignment) {
        return frame_pool::allocate(size, static_cast<std::size_t>(alignment));
    }

    static void operator delete(void* frame,
                                std::size_t size,
                                std::align_val_t alignment) noexcept {
        frame_pool::deallocate(frame, size, static_cast<std::size_t>(alignment));
    }

    // --- whoever owns the coroutine (I1) -----------------------------------------
    // Set by whoever starts the coroutine, not here: each costs a store per frame.
    context_ref context_;
    promise_base* parent_;  // who awaits us; for a root and for a join's child nobody
    end_hook* completion_;  // who hears of our end; null: resume parent_

    union {
        std::coroutine_handle<>* slot_;  // plain await: the handle that owns our frame
        promise_base* sibling_;          // join: the next child; null for the last
        void* result_;                   // nested child: where its value goes
    };

    std::uint32_t child_index_;  // of a join's child: its number
    wake_as wake_as_ = wake_as::resume;
    bool was_told_ = false;  // with a completion: the task has been told of its stop (S1)
    outcome outcome_ = outcome::pending;
};

/// Where a coroutine goes when its body is done. Without a further stop when `is_over`: a nested
/// child that has handed its value over destroys its frame and returns to its parent's fork.
struct final_transfer {
    bool is_over;

    [[nodiscard]] bool await_ready() const noexcept { return is_over; }

    template <class Promise>
    [[nodiscard]] std::coroutine_handle<> await_suspend(
        std::coroutine_handle<Promise> finished) const noexcept {
        promise_base& promise = promise_base::at(finished.address());
        if (promise.completion_ == nullptr) [[likely]] {
            return promise.parent_->handle();
        }
        WEFT_CHECK(promise.outcome_ != outcome::pending,
                   "a task that gives a value ended without co_return");
        return promise.completion_->on_done(*promise.completion_, promise);
    }

    void await_resume() const noexcept {}
};

/// Destroys a coroutine that nobody awaits.
WEFT_COLD WEFT_SPARES_REGISTERS void destroy_frame(void* frame) noexcept;

/// Runs a suspended coroutine by a call from within whatever this thread, which is no worker, runs
/// already: what can be run of the joins in it is run before the call ends, however deep the stack.
void run_apart(promise_base& promise) noexcept;

/// Runs a suspended coroutine by a call from within what this worker runs already: until it waits,
/// or has ended. Requires: can_run_within().
void run_within(promise_base& promise) noexcept;

/// On a worker, with room on the stack.
[[nodiscard]] bool can_run_within() noexcept;

/// Unwinds a coroutine whose operation was stopped and returns what runs next. Called with no frame
/// of the chain on the stack.
[[nodiscard]] std::coroutine_handle<> unwind(promise_base& stopped) noexcept;

/// The same on a thread that is no worker and has no queue: the end of one coroutine that stops the
/// next comes back here first, so that chains of handlers unwind in one loop, too.
[[nodiscard]] std::coroutine_handle<> unwind_off_worker(promise_base& stopped) noexcept;

/// The turn of what stood in a queue and is not simply resumed. Gives what runs next.
[[nodiscard]] std::coroutine_handle<> wake_marked(promise_base& promise) noexcept;

/// The turn of what stood in a queue.
inline void run(promise_base& promise) noexcept {
    if (promise.wake_as_ == wake_as::resume) [[likely]] {
        promise.handle().resume();
    } else {
        wake_marked(promise).resume();
    }
}

}  // namespace weft::detail
