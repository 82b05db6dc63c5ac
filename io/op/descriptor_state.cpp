#include <weft/io/op/descriptor_state.hpp>

#include <weft/io/sys/sys.hpp>
#include <weft/runtime/sched/make_ready.hpp>
#include <weft/runtime/sched/scheduler.hpp>

#include <sys/socket.h>

namespace weft::detail {

namespace {

/// Written by every constructor.
atomic<std::uint64_t> next_serial{1};

/// Stands in descriptor_state::waiting_ once the descriptor is gone.
constinit close_wait all_told;

}  // namespace

descriptor_state::descriptor_state(unique_fd owned) noexcept
    : fd_(std::move(owned))
    ,
    // relaxed: count — only uniqueness matters
    serial_(next_serial.fetch_add(1, relaxed)) {}

descriptor_state::~descriptor_state() {
    if (in_flight() != 0) [[unlikely]] {
        int listens = 0;
        ::socklen_t size = sizeof listens;
        (void)sys::option(fd(), SOL_SOCKET, SO_ACCEPTCONN, &listens, &size);
        WEFT_CHECK(listens == 0,
                   "a tcp_listener is destroyed while a task waits in it" WEFT_END_TASKS_FIRST);
        WEFT_CHECK(in_flight() == 0,
                   "a tcp_stream is destroyed while a task waits in it" WEFT_END_TASKS_FIRST);
    }
    // relaxed: hint — whoever destroys is ordered behind the close, and the mark is compared only
    WEFT_CHECK(!is_closing() || waiting_.load(relaxed) == &all_told,
               "a socket is destroyed while a task closes it" WEFT_END_TASKS_FIRST);
}

bool descriptor_state::enter() noexcept {
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

void descriptor_state::leave() noexcept {
    // acq_rel: count — publish what the operation wrote, and observe closer_ when last; pairs with
    // begin_close()
    std::uint32_t const before = word_.fetch_sub(1, acq_rel);
    if (before == (closing_bit | 1)) {
        make_ready(*closer_);
    }
}

bool descriptor_state::is_closing() const noexcept {
    // acquire: observe the close; pairs with begin_close():claim
    return (word_.load(acquire) & closing_bit) != 0;
}

std::uint32_t descriptor_state::in_flight() const noexcept {
    // acquire: observe what finished operations wrote; pairs with leave():count
    return word_.load(acquire) & ~closing_bit;
}

bool descriptor_state::begin_close(close_wait& by) noexcept {
    // relaxed: hint — the exchange decides
    std::uint32_t seen = word_.load(relaxed);
    do {
        if ((seen & closing_bit) != 0) {
            return wait_for_closer(by);
        }
        // The closer holds a share of its own while it shuts down, so that the last operation out
        // finds everything done.
        // acq_rel: claim the close, and observe the operations that have left; pairs with enter()
        // and leave(). The loser (relaxed) looks again.
    } while (!word_.compare_exchange_weak(seen, seen + (closing_bit | 1), acq_rel, relaxed));
    by.is_closer_ = true;
    closer_ = by.waiter_;
    if (seen != 0) {
        // Fails on a socket that is not connected, where there is nothing to end.
        (void)sys::shutdown(fd(), SHUT_RDWR);
    }
    // acq_rel: count — give the share back and publish closer_; pairs with leave()
    return word_.fetch_sub(1, acq_rel) != (closing_bit | 1);
}

/// False when the closer is done.
bool descriptor_state::wait_for_closer(close_wait& by) noexcept {
    // acquire: observe the end of the close; pairs with tell_all():publish
    close_wait* newest = waiting_.load(acquire);
    do {
        if (newest == &all_told) {
            return false;
        }
        by.next_ = newest;
        // release: publish the node; pairs with tell_all():observe. The loser (acquire: as above)
        // looks again.
    } while (!waiting_.compare_exchange_weak(newest, &by, release, acquire));
    return true;
}

/// Whoever sees the mark, or is woken, may destroy this object.
void descriptor_state::tell_all() noexcept {
    // acq_rel: publish the end of the close, and observe who waits for it; pairs with
    // wait_for_closer()
    close_wait* each = waiting_.exchange(&all_told, acq_rel);
    while (each != nullptr && each != &all_told) {
        promise_base& waiter = *each->waiter_;
        each = each->next_;
        make_ready(waiter);
    }
}

}  // namespace weft::detail
