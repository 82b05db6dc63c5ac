#pragma once

/// A call in a scheduler's queue, where otherwise a coroutine stands: what a waker leaves to be
/// done on a worker, with no frame of its own.
///
/// Protocol. The call stands in the queue as a promise that is to be notified (wake_as), with
/// itself as the completion. So the queues and the loop know nothing of calls.
/// I1 The slot is no coroutine: its handle is never made.

#include <weft/runtime/coro/promise.hpp>

#include <coroutine>

namespace weft::detail {

class queued_call : private end_hook {
public:
    /// Gives what runs next on the worker.
    using function = std::coroutine_handle<> (*)(queued_call& self) noexcept;

    explicit queued_call(function f) noexcept : end_hook(&run), call_(f) {}

    queued_call(queued_call const&) = delete;
    queued_call& operator=(queued_call const&) = delete;

    /// Calls the function once, soon, on a worker of the scheduler of `where`. The last access to
    /// the object, which lives until then. May be scheduled again from within the call.
    void schedule(context const& where) noexcept;

protected:
    ~queued_call() = default;

private:
    static std::coroutine_handle<> run(end_hook& base, promise_base&) noexcept {
        auto& self = static_cast<queued_call&>(base);
        return self.call_(self);
    }

    function call_;
    promise_base slot_;
};

}  // namespace weft::detail
