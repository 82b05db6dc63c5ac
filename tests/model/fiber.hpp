#pragma once

/// A thread of control that runs on whatever kernel thread switches to it, with a stack and
/// thread-local variables of its own.
///
/// The thread-local variables are those of a kernel thread that is started for the purpose and
/// sleeps: a switch sets the thread pointer to that thread's. So code that keeps something per
/// thread meets, in a model, as many threads as it thinks. x86-64 only.

#include <cstddef>
#include <thread>

#include <semaphore.h>

namespace weft::model {

class fiber {
public:
    using entry_function = void (*)() noexcept;

    fiber();
    fiber(fiber const&) = delete;
    fiber& operator=(fiber const&) = delete;
    ~fiber();

    /// Makes the next switch to this fiber call `entry`, which never returns. What ran on the fiber
    /// before is forgotten, not unwound.
    void prepare(entry_function entry) noexcept;

    /// Leaves `from` and goes on in `to`. Null is the kernel thread's own stack, of which there is
    /// one.
    static void switch_to(fiber* from, fiber* to) noexcept;

private:
    static constexpr std::size_t stack_size_bytes = 256 * 1024;

    void* memory_;
    void* stack_ = nullptr;
    void* thread_pointer_ = nullptr;

    // What sleeps here must not spin first: the program's sched_yield() is the stepper's.
    ::sem_t lent_{};
    ::sem_t returned_{};
    std::thread lender_;  // whose thread pointer that is
};

}  // namespace weft::model
