#include <weft/io/socket_state.hpp>

#include <weft/runtime/scheduler.hpp>

#include <sys/socket.h>

namespace weft::detail {

namespace {

/// Written by every constructor.
atomic<std::uint64_t> next_serial{1};

}  // namespace

socket_state::socket_state(unique_fd owned) noexcept
    : fd_(std::move(owned))
    ,
    // relaxed: count — only uniqueness matters
    serial_(next_serial.fetch_add(1, relaxed)) {}

socket_state::~socket_state() {
    if (in_flight() != 0) [[unlikely]] {
        int listens = 0;
        ::socklen_t size = sizeof listens;
        ::getsockopt(fd(), SOL_SOCKET, SO_ACCEPTCONN, &listens, &size);
        WEFT_CHECK(listens == 0,
                   "a tcp_listener is destroyed while a task waits in it" WEFT_END_TASKS_FIRST);
        WEFT_CHECK(in_flight() == 0,
                   "a tcp_stream is destroyed while a task waits in it" WEFT_END_TASKS_FIRST);
    }
}

bool socket_state::enter() noexcept {
    // relaxed: hint — the exchange decides
    std::uint32_t seen = word_.load(relaxed);
    do {
        if ((seen & closing_bit) != 0) {
            return false;  // keeps I1: once closing is set the count only falls
        }
        // acquire: observe a close that has begun; pairs with begin_close():claim. The loser
        // (relaxed) looks again.
    } while (!word_.compare_exchange_weak(seen, seen + 1, acquire, relaxed));
    return true;
}

void socket_state::leave() noexcept {
    // acq_rel: count — publish what the operation wrote, and observe closer_ when last; pairs with
    // begin_close()
    std::uint32_t const before = word_.fetch_sub(1, acq_rel);
    if (before == (closing_bit | 1)) {
        promise_base& closer = *closer_;
        closer.context_->sched->schedule(closer);
    }
}

bool socket_state::is_closing() const noexcept {
    // acquire: observe the close; pairs with begin_close():claim
    return (word_.load(acquire) & closing_bit) != 0;
}

std::uint32_t socket_state::in_flight() const noexcept {
    // acquire: observe what finished operations wrote; pairs with leave():count
    return word_.load(acquire) & ~closing_bit;
}

bool socket_state::begin_close(promise_base& closer) noexcept {
    closer_ = &closer;
    // The closer holds a share of its own while it shuts down, so that the last operation out finds
    // everything done.
    // acq_rel: claim — set closing and publish closer_; pairs with enter() and leave()
    std::uint32_t const before = word_.fetch_add(closing_bit | 1, acq_rel);
    WEFT_CHECK((before & closing_bit) == 0, "a socket is closed twice");
    if (before != 0) {
        // Fails on a socket that is not connected, where there is nothing to end.
        ::shutdown(fd(), SHUT_RDWR);
    }
    // acq_rel: count — give the share back; pairs with leave()
    return word_.fetch_sub(1, acq_rel) == (closing_bit | 1);
}

}  // namespace weft::detail
