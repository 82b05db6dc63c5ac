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
///    in, or the thread that took it out. Only the owner resumes it or marks it stopped.
/// I2 While a coroutine waits for a child by a plain await, the child's `slot_` points at the
///    handle that owns the child's frame; `unwind` clears it before it destroys the frame, so that
///    chains of any length unwind without recursion. Scopes, joins and timeouts nested in one
///    another are asked to stop, and destroyed, recursively: 10^5 levels fit a stack of 8 MiB.

#include <weft/runtime/base/assert.hpp>
#include <weft/runtime/context.hpp>
#include <weft/runtime/core/frame_pool.hpp>
#include <weft/runtime/core/runnable.hpp>

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <new>

namespace weft::detail {

class promise_base;

/// Whoever wants to hear of a coroutine's end. `on_done` runs when the coroutine is suspended for
/// good, with its outcome in the promise, and returns what runs next on this thread.
struct completion {
    using function = std::coroutine_handle<> (*)(completion&, promise_base&) noexcept;

    explicit completion(function f) noexcept : on_done(f) {}

    function on_done;
};

enum class outcome : std::uint8_t { pending, value, error, stopped };

class promise_base : public runnable {
public:
    promise_base() noexcept = default;

    [[nodiscard]] std::coroutine_handle<> handle() noexcept {
        return std::coroutine_handle<promise_base>::from_promise(*this);
    }

    [[nodiscard]] static promise_base& from(runnable& item) noexcept {
        return static_cast<promise_base&>(item);
    }

    /// The stop state that operations of this coroutine follow.
    [[nodiscard]] stop_state& stop() const noexcept { return *context_->stop; }

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
    context const* context_ = nullptr;
    promise_base* parent_ = nullptr;    // who awaits us; null for a root and for a join's child
    completion* completion_ = nullptr;  // who hears of our end; null: resume parent_

    union {
        std::coroutine_handle<>* slot_ = nullptr;  // plain await: the handle that owns our frame
        promise_base* sibling_;                    // join: the next child; null for the last
    };

    std::uint32_t carried_ = 0;  // siblings that finished on this thread of control before us
    bool stop_marked_ = false;   // waiting to be unwound instead of resumed
    outcome outcome_ = outcome::pending;
};

/// Where a coroutine goes when its body is done.
struct final_transfer {
    [[nodiscard]] bool await_ready() const noexcept { return false; }

    template <class Promise>
    [[nodiscard]] std::coroutine_handle<> await_suspend(
        std::coroutine_handle<Promise> finished) const noexcept {
        promise_base& promise = finished.promise();
        if (promise.completion_ == nullptr) [[likely]] {
            return promise.parent_->handle();
        }
        return promise.completion_->on_done(*promise.completion_, promise);
    }

    void await_resume() const noexcept {}
};

/// Unwinds a coroutine whose operation was stopped and returns what runs next. Called with no frame
/// of the chain on the stack.
[[nodiscard]] std::coroutine_handle<> unwind(promise_base& stopped) noexcept;

/// Runs a coroutine that stood in a queue: resumes it, or unwinds it if it was marked.
inline void run(promise_base& promise) noexcept {
    if (!promise.stop_marked_) [[likely]] {
        promise.handle().resume();
    } else {
        unwind(promise).resume();
    }
}

}  // namespace weft::detail
