#pragma once

/// What the operations on one descriptor share: the descriptor, its identity, and the gate through
/// which every operation passes so that closing can wait for them.
///
/// Protocol of closing: gate → shut down → drain → close → tell.
///   word_: in-flight count (low bits) | closing
///   enter():  count + 1 unless closing                    (an operation is about to start)
///   leave():  count - 1; the last one out after closing wakes the closer. An operation leaves when
///             its task has been resumed or unwound, because errors are told with the peer's name
///   close:    set closing; whoever sets it is the closer. If the count is not 0, shutdown(2) makes
///             every operation in flight end, on whichever worker it is; wait until the count is 0;
///             only then close(2), so that no operation ever meets a reused number. An idle socket
///             is not shut down, so that SO_LINGER alone decides whether its peer sees an end or a
///             reset
///   others:   who finds closing set waits in waiting_ for the closer, which puts the mark
///             all_told there when the descriptor is gone, and wakes them
/// I1 Once closing is set the count only falls, so that it reaches 0 once, one operation (or the
///    closer) sees it do so, and the descriptor is closed once, when nobody uses it.
/// I2 An operation that ends while closing is set reports weft::errc::closed, not what shutdown
///    made of it.
/// I3 A connection that broke is not mistaken for one that ended. The kernel tells the error once,
///    to the reader or to the writer, and perhaps to neither (a transfer with MSG_WAITALL that has
///    a part answers with the part); afterwards it tells the end of the stream. So whoever is told
///    the end asks whether the peer sent one (net/detail/stream_end.hpp); which error it was is
///    kept here.

#include <weft/runtime/base/atomic.hpp>
#include <weft/runtime/coro/promise.hpp>
#include <weft/runtime/values/unique_fd.hpp>

#include <cstdint>

namespace weft::detail {

/// One close() of a socket, in its frame. At most one of them closes; the others wait for it.
class close_wait {
public:
    /// Stands for nobody.
    constexpr close_wait() noexcept = default;

    explicit close_wait(promise_base& caller) noexcept : waiter_(&caller) {}

    /// After begin_close(): the socket is drained and this caller has to close it.
    [[nodiscard]] bool is_closer() const noexcept { return is_closer_; }

private:
    friend class descriptor_state;

    promise_base* waiter_ = nullptr;
    close_wait* next_ = nullptr;
    bool is_closer_ = false;
};

class descriptor_state {
public:
    /// Takes ownership of the descriptor.
    explicit descriptor_state(unique_fd owned) noexcept;

    descriptor_state(descriptor_state const&) = delete;
    descriptor_state& operator=(descriptor_state const&) = delete;

    /// Requires: no operation and no close in flight. Closes the descriptor if close() did not.
    ~descriptor_state();

    [[nodiscard]] int fd() const noexcept { return fd_.value(); }

    /// Distinguishes this descriptor from earlier ones of the same number.
    [[nodiscard]] std::uint64_t serial() const noexcept { return serial_; }

    /// Any thread. False once closing.
    [[nodiscard]] bool enter() noexcept;

    /// Any thread. Pairs with a successful enter(). May resume the closer; the last access to this
    /// object.
    void leave() noexcept;

    [[nodiscard]] bool is_closing() const noexcept;

    [[nodiscard]] std::uint32_t in_flight() const noexcept;

    /// Any thread. The first caller sets closing and shuts the descriptor down if it is in use.
    /// True when the caller must stay suspended: the closer until the last operation has left,
    /// another one until the closer is done. Then, or at once, close_wait::is_closer() tells which
    /// it is; one that is not must not touch this object again.
    [[nodiscard]] bool begin_close(close_wait& by) noexcept;

    /// The closer, nothing in flight: closes, and wakes those who wait for it. Errors of close(2)
    /// are of no use to anybody and are dropped. The last access to this object.
    void finish_close() noexcept {
        fd_.reset();
        tell_all();
    }

    /// The same where a back end has closed the descriptor.
    void note_closed() noexcept {
        (void)fd_.release();
        tell_all();
    }

    /// The error that broke the connection, or 0.
    [[nodiscard]] int broken() const noexcept {
        // relaxed: hint — whoever misses it tells of a reset
        return broken_.load(relaxed);
    }

    void note_broken(int error) noexcept {
        // relaxed: hint — as above
        broken_.store(error, relaxed);
    }

    // --- one reader, one writer (see tcp_stream: Overlap) ---------------------------
    /// The last receive drained the socket, so the next one will have to wait: a hint for the back
    /// ends.
    bool receive_would_wait = false;

private:
    static constexpr std::uint32_t closing_bit = 1U << 31U;

    [[nodiscard]] bool wait_for_closer(close_wait& by) noexcept;
    void tell_all() noexcept;

    // --- constant after construction, until finish_close() --------------------------
    unique_fd fd_;
    std::uint64_t serial_;

    // --- any thread, atomic (see Protocol) ---------------------------------------
    /// Written by every operation's start and end and by the closer.
    atomic<std::uint32_t> word_{0};
    /// Written by operations that fail, read by those that meet the end of the stream.
    atomic<int> broken_{0};
    /// Written by those who wait for the closer, and by it: a stack, or the mark all_told.
    atomic<close_wait*> waiting_{nullptr};
    promise_base* closer_ = nullptr;  // written by the closer, read by the last one out
};

/// Keeps the socket from being closed during what is no operation, or consists of several. Holds
/// nothing once the socket is closing.
class descriptor_share {
public:
    explicit descriptor_share(descriptor_state& socket) noexcept
        : socket_(socket.enter() ? &socket : nullptr) {}

    descriptor_share(descriptor_share const&) = delete;
    descriptor_share& operator=(descriptor_share const&) = delete;

    ~descriptor_share() {
        if (socket_ != nullptr) {
            socket_->leave();
        }
    }

    [[nodiscard]] explicit operator bool() const noexcept { return socket_ != nullptr; }

private:
    descriptor_state* socket_;
};

}  // namespace weft::detail
