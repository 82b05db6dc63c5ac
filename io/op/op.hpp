#pragma once

/// One I/O operation: what to ask of the kernel, and the answer. Drivers differ in how they ask;
/// the operation and its completion rules are the same for all of them.
///
/// An operation describes itself. Its *kind* is a table of functions: how to fill an entry for a
/// ring, how to make the call without waiting, which readiness to wait for where the call has to be
/// made by a driver, and how to take an answer. Kinds that belong together are a *family*: one
/// source file holds all that is known of them (descriptor_ops.cpp, net/detail/socket_ops.cpp). A
/// driver knows no kinds, and a new one changes no driver.
///
/// Life: the object is (part of) an awaiter in the coroutine's frame. `start` is called on the
/// worker that runs the coroutine; pinned_operation says what follows. A driver reports every
/// answer of the kernel to `absorb`, which tells whether the operation is over or goes on: it must
/// be asked for again (short transfers of the `_all` and `_exact` kinds, EINTR), or the kernel has
/// more answers for it. Then the driver calls `finish` once.
///
/// I1 The kernel may touch what the operation refers to until the answer: `finish` is called only
///    when nothing of this operation is left in the kernel, neither itself nor a cancellation aimed
///    at it.
/// I2 Success wins: a result that arrived is delivered even though a stop was requested. A task is
///    unwound only if it was stopped: -ECANCELED that nobody asked for is an error like others.
/// I3 A descriptor that an operation has received and nobody has taken is closed by the destructor.
/// I4 A connection that broke never looks as if the peer had ended it (descriptor_state I3).

#include <weft/io/op/descriptor_state.hpp>
#include <weft/runtime/base/intrusive_list.hpp>
#include <weft/runtime/sched/pinned_operation.hpp>
#include <weft/runtime/values/result.hpp>

#include <cstddef>
#include <cstdint>
#include <system_error>

namespace weft::detail {

class io_op;
struct ring_entry;

/// What an operation waits for where a driver makes its call.
enum class io_wait : std::uint8_t {
    for_input,   ///< until its descriptor can be read from
    for_output,  ///< until its descriptor can be written to
    never,       ///< the call ends it, however long it takes
};

/// One answer of the kernel, as the completion of a ring has it.
struct io_answer {
    static constexpr unsigned more = 1U << 1U;      ///< IORING_CQE_F_MORE: it will answer again
    static constexpr unsigned nonempty = 1U << 2U;  ///< IORING_CQE_F_SOCK_NONEMPTY

    int value;  ///< bytes, a descriptor or 0; or -errno
    unsigned flags = 0;

    [[nodiscard]] constexpr bool has(unsigned flag) const noexcept { return (flags & flag) != 0; }
};

/// What a call that does not wait has brought.
struct io_attempt {
    int value;  ///< as in io_answer; -EAGAIN: it would have to wait

    /// Besides -EAGAIN: afterwards the descriptor has nothing more to give, or takes nothing more.
    bool drained = false;

    [[nodiscard]] constexpr io_answer answer() const noexcept {
        return {value, drained ? 0U : io_answer::nonempty};
    }
};

/// How one kind of operation is done. Its functions are called on the operation's home, with an
/// operation of this kind.
struct io_kind {
    char const* name;  ///< begins the message of an error: "read from"
    io_wait waits;
    bool repeats_interrupted;  ///< after EINTR it is asked for again

    /// Fills an entry of the submission queue.
    void (*prepare)(io_op& op, ring_entry const& entry) noexcept;

    /// Makes the call without waiting.
    io_attempt (*attempt)(io_op& op) noexcept;

    /// Takes one answer, with end() if it is the last one. True when the operation is over.
    bool (*take)(io_op& op, io_answer answer) noexcept;
};

/// `for_kind<&function>`: what io_kind wants, of a function that takes the family's own type.
template <auto Function>
inline constexpr auto for_kind = nullptr;

template <class Op, class Result, class... Rest, Result (*Function)(Op&, Rest...) noexcept>
inline constexpr auto for_kind<Function> = [](io_op& op, Rest... rest) noexcept -> Result {
    return Function(static_cast<Op&>(op), rest...);
};

class io_op : public pinned_operation, public intrusive_list_hook<io_op> {
public:
    /// The coroutine's thread. True when the coroutine must stay suspended; false when the answer
    /// is there already.
    [[nodiscard]] bool start(promise_base& waiter) noexcept;

    using pinned_operation::resume_when_stopped;
    using pinned_operation::tell_when_stopped;
    using pinned_operation::was_stopped;

    /// Instead of start(): true when the answer is there; else nothing was done, and the next try
    /// may follow. `waited`: the error of the wait before this, which ends the operation if nothing
    /// else does. Any thread.
    [[nodiscard]] bool try_complete(std::error_code waited) noexcept;

    // --- for drivers, home's thread ------------------------------------------------------

    /// Takes one answer. True when the operation is over. False when it goes on: it is to be asked
    /// for again, unless the kernel has more answers for it.
    [[nodiscard]] bool absorb(io_answer answer) noexcept;

    /// The operation is over and the kernel is done with it. The coroutine becomes ready.
    void finish() noexcept;

    // --- for kinds, when they take an answer ---------------------------------------------

    /// The operation is over, with this. True.
    bool end(int answer) noexcept {
        answer_ = answer;
        return true;
    }

    /// It has done something that its end must tell of, though its descriptor be closing.
    void note_effect() noexcept { has_effect_ = true; }

    // --- for awaiters, after the end -----------------------------------------------------

    /// Leaves the descriptor at the end of await_resume(), also when that throws.
    class last_use {
    public:
        explicit last_use(io_op& op) noexcept : op_(&op) {}

        last_use(last_use const&) = delete;
        last_use& operator=(last_use const&) = delete;

        ~last_use() { op_->leave(); }

    private:
        io_op* op_;
    };

    /// The awaiter needs the descriptor no more: whoever waits to close it may close and destroy it
    /// now. The destructor does the same for an operation that was stopped.
    void leave() noexcept;

    /// What the last answer said, at least 0; or the error. Stopped is
    /// std::errc::operation_canceled.
    [[nodiscard]] result<std::size_t> outcome() const noexcept;

    // --- constant after construction -------------------------------------------
    io_kind const* kind;
    descriptor_state* descriptor;  ///< null for what uses none

    // --- home's thread only; belongs to the driver ---------------------------------------
    std::uint8_t in_kernel =
        0;  ///< completions still expected: the operation's own and its cancellation's
    bool cancel_wanted = false;      ///< a stop was requested: nothing new of it is started
    bool is_over = false;            ///< absorb() has returned true
    bool was_attempted = false;      ///< its call has been made, and would have had to wait
    std::uint8_t interruptions = 0;  ///< answers EINTR in a row

protected:
    /// An operation on a descriptor, which stays open meanwhile.
    io_op(io_kind const& how, descriptor_state& where) noexcept
        : pinned_operation(&on_cancel)
        , kind(&how)
        , descriptor(&where) {}

    /// One that uses none.
    explicit io_op(io_kind const& how) noexcept
        : pinned_operation(&on_cancel)
        , kind(&how)
        , descriptor(nullptr) {}

    ~io_op() { leave(); }

private:
    static void on_cancel(pinned_operation& base) noexcept;
    [[nodiscard]] bool enter() noexcept;
    void note_if_closing() noexcept;

    int answer_ = 0;           // ≥ 0, or -errno
    bool has_effect_ = false;  // see note_effect()
    bool entered_ = false;     // counted by the descriptor's gate
    bool refused_ =
        false;  // the socket is closing: whatever the kernel said, the answer is errc::closed
};

/// The list that a driver keeps the operation in.
[[nodiscard]] inline intrusive_list_hook<io_op>& list_hook(io_op& op) noexcept {
    return op;
}

/// What a driver offers to operations. Home's thread only.
class io_backend {
public:
    /// Tries to get the answer without waiting; true when absorb() has seen the end. Never calls
    /// finish().
    [[nodiscard]] virtual bool try_now(io_op& op) noexcept = 0;

    /// Starts an operation for which begin() succeeded. finish() follows from poll() or park(), or
    /// from cancel().
    virtual void start(io_op& op) noexcept = 0;

    /// The stop reached an operation in flight: asks the kernel to cancel it. finish() follows as
    /// after start().
    virtual void cancel(io_op& op) noexcept = 0;

    /// Operations started and not yet finished.
    [[nodiscard]] virtual std::size_t in_flight() const noexcept = 0;

    /// "uring" or "epoll".
    [[nodiscard]] virtual char const* name() const noexcept = 0;

protected:
    ~io_backend() = default;
};

}  // namespace weft::detail
