#pragma once

/// One I/O operation: what to ask of the kernel, and the answer. Back ends differ in how they ask;
/// the operation and its completion rules are the same for all of them.
///
/// Life: the object is (part of) an awaiter in the coroutine's frame. `start` is called on the
/// worker that runs the coroutine; pinned_operation says what follows. A back end reports every
/// answer of the kernel to `absorb`, which tells whether the operation is over or must be asked for
/// again (short transfers of the `_all` and `_exact` kinds, EINTR), and then calls `finish` once.
///
/// I1 The kernel may touch `data` until the answer: `finish` is called only when nothing of this
///    operation is left in the kernel, neither itself nor a cancellation aimed at it.
/// I2 Success wins: a result that arrived is delivered even though a stop was requested. A task is
///    unwound only if it was stopped: -ECANCELED that nobody asked for is an error like others.
/// I3 A descriptor that an operation has received and nobody has taken is closed by the destructor.
/// I4 A connection that broke never looks as if the peer had ended it (socket_state I3).

#include <weft/io/op/socket_state.hpp>
#include <weft/runtime/base/intrusive_list.hpp>
#include <weft/runtime/sched/pinned_operation.hpp>
#include <weft/runtime/values/result.hpp>

#include <cstddef>
#include <cstdint>
#include <system_error>

struct iovec;
struct sockaddr;

namespace weft::detail {

enum class io_kind : std::uint8_t {
    accept,        ///< data, address_length: where the peer's address goes; result: a descriptor
    connect,       ///< address, address_length
    recv,          ///< data, length; result: bytes, 0 at the end of the stream
    recv_exact,    ///< data, length; result: length, or unexpected end
    send_all,      ///< data, length; result: length
    recv_vec,      ///< vectors, vector_count; result: bytes
    send_vec_all,  ///< vectors, vector_count (both are advanced); result: all bytes
    readable,      ///< result: 0, once a receive, an accept or a read would not wait
    close,         ///< closes socket's descriptor; the gate is shut and drained already
};

/// The direction in which a kind waits for readiness.
[[nodiscard]] constexpr bool waits_for_input(io_kind kind) noexcept {
    return kind == io_kind::accept || kind == io_kind::recv || kind == io_kind::recv_exact ||
           kind == io_kind::recv_vec || kind == io_kind::readable;
}

class io_op : public pinned_operation, public intrusive_list_hook<io_op> {
public:
    io_op(io_kind k, socket_state& s) noexcept
        : pinned_operation(&on_cancel)
        , kind(k)
        , socket(&s) {}

    ~io_op();

    /// The coroutine's thread. True when the coroutine must stay suspended; false when the answer
    /// is there already.
    [[nodiscard]] bool start(promise_base& waiter) noexcept;

    using pinned_operation::resume_when_stopped;
    using pinned_operation::stop_arrived;
    using pinned_operation::tell_when_stopped;
    using pinned_operation::was_stopped;

    /// Instead of start(): true when the answer is there; else nothing was done, and the next try
    /// may follow. `waited`: the error of the wait before this, which ends the operation if nothing
    /// else does. Any thread.
    [[nodiscard]] bool try_complete(std::error_code waited) noexcept;

    // --- for back ends, home's thread --------------------------------------------------

    /// Takes one answer: bytes, a descriptor or 0, or -errno. True when the operation is over.
    [[nodiscard]] bool absorb(int answer) noexcept;

    /// The operation is over and the kernel is done with it. The coroutine becomes ready.
    void finish() noexcept;

    /// The part of the transfer that is still to be asked for.
    [[nodiscard]] unsigned char* remaining_data() const noexcept { return data + done; }

    [[nodiscard]] std::size_t remaining_length() const noexcept { return length - done; }

    // --- for awaiters, after the end -----------------------------------------------------

    /// Leaves the socket at the end of await_resume(), also when that throws.
    class last_use {
    public:
        explicit last_use(io_op& op) noexcept : op_(&op) {}

        last_use(last_use const&) = delete;
        last_use& operator=(last_use const&) = delete;

        ~last_use() { op_->leave(); }

    private:
        io_op* op_;
    };

    /// The awaiter needs the socket no more: whoever waits to close it may close and destroy it
    /// now. The destructor does the same for an operation that was stopped.
    void leave() noexcept;

    /// The number of bytes, or 0; or the error. Stopped is std::errc::operation_canceled.
    [[nodiscard]] result<std::size_t> outcome() const noexcept;

    /// The received descriptor, which the caller owns from now on.
    [[nodiscard]] result<unique_fd> take_descriptor() noexcept;

    // --- constant after construction -------------------------------------------
    io_kind kind;
    socket_state* socket;

    // --- set by the awaiter before start(), advanced by absorb() -----------------------
    unsigned char* data = nullptr;
    std::size_t length = 0;
    std::size_t done = 0;
    iovec* vectors = nullptr;
    unsigned vector_count = 0;
    ::sockaddr const* address = nullptr;
    unsigned address_length = 0;

    // --- home's thread only; belongs to the back end -------------------------------------
    std::uint8_t in_kernel =
        0;  ///< completions still expected: the operation's own and its cancellation's
    bool cancel_wanted = false;      ///< a stop was requested: nothing new of it is started
    bool is_over = false;            ///< absorb() has returned true
    std::uint8_t stage = 0;          ///< what the back end has done so far; 0: nothing
    std::uint8_t interruptions = 0;  ///< answers EINTR in a row

private:
    static void on_cancel(pinned_operation& base) noexcept;
    void note_if_closing() noexcept;
    [[nodiscard]] int correct_end(int answer) const noexcept;

    int answer_ = 0;                 // ≥ 0, or -errno
    bool holds_descriptor_ = false;  // answer_ is a descriptor that nobody has taken (I3)
    bool entered_ = false;           // counted by the socket's gate
    bool refused_ =
        false;  // the socket is closing: whatever the kernel said, the answer is errc::closed
    bool at_end_ = false;  // the stream ended before recv_exact was satisfied
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
