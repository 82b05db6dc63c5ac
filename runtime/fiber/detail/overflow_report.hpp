#pragma once

/// What a process says that dies because a fiber's stack was too small.
///
/// A thread that runs fibers has a stack of its own for signals, unless it has one already, and the
/// process a handler of SIGSEGV. That handler looks whether the fault was an access to the guard of
/// the fiber that the thread runs, says so on stderr, and leaves the rest to the handler that was
/// there before: a fault kills the process, and dumps core, as it would without.

#include <weft/runtime/base/config.hpp>

namespace weft::detail {

class fiber_core;
struct exceptions_in_hand;

/// What a thread keeps of its fibers.
struct fibers_of_thread {
    fiber_core* current;             // null where none runs
    exceptions_in_hand* exceptions;  // the thread's; null before its first fiber
};

WEFT_STATIC_TLS extern constinit thread_local fibers_of_thread this_threads_fibers;

/// The calling thread. What cannot be had is done without.
WEFT_COLD void watch_overflow() noexcept;

}  // namespace weft::detail
