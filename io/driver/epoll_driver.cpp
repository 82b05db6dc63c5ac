#include <weft/io/driver/epoll_driver.hpp>

#include <weft/io/sys/sys.hpp>
#include <weft/runtime/base/assert.hpp>

#include <cerrno>
#include <ctime>
#include <new>
#include <utility>

#include <sys/epoll.h>
#include <sys/eventfd.h>

// Protocol
//
// Actors: the owner (a worker), the kernel, and anybody who calls wake(). Everything but wake() is
// the owner's.
//
// An operation is attempted by a non-blocking system call as soon as it starts. Where the socket is
// not ready it waits in the list of its direction in the socket's watch. The first wait on a socket
// registers it, once, edge-triggered, for both directions. An edge makes the waiting operations try
// again.
//
// Where an operation is:    linked in            left by
//   untried                 untried_             the next turn; cancel()
//   waiting                 a watch's direction  an edge and an attempt that gives the last answer;
//                                                cancel()
//   over                    -                    finish()
//
// I1 `ready` of a direction is false only if an attempt through this driver drained the socket and
//    no edge has been seen since. Then an attempt would be wasted, and the edge to wait for has not
//    passed. When in doubt it is true.
// I2 A short transfer counts as "drained", except once the peer has ended the stream or sent urgent
//    data, before which a read stops: what comes behind may have been reported together with the
//    data before it, and no other edge follows.
// I3 A watch belongs to one descriptor_state, by serial. The kernel forgets a registration when the
//    descriptor is closed, and the number comes back with another serial: the slot starts afresh.
//    No operation waits in it then, because closing waits for all of them.
// I4 An operation that must give way first (the worker's budget is spent) is attempted in the next
//    turn, not at its start.
// I5 Tasks migrate, so a socket can be registered with several workers, and each edge wakes them
//    all. A watch that saw `unclaimed_max` edges in a row with nobody waiting is dropped.
// I6 The wake-up descriptor is edge-triggered: every write wakes, none has to be read back.
// I7 A wait that fails ends the process with the error's name; it would fail again and again.

namespace weft::detail {

namespace {

constexpr std::uint32_t both_directions = EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP | EPOLLET;
constexpr std::uint32_t stops = EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR;
constexpr std::size_t page_size = 64;
constexpr int batch_size = 128;
constexpr unsigned unclaimed_max = 3;

[[nodiscard]] ::epoll_event event_of(int fd, std::uint32_t what) noexcept {
    ::epoll_event event{};
    event.events = what;
    event.data.fd = fd;
    return event;
}

}  // namespace

/// The operations that wait for one kind of readiness.
struct epoll_driver::direction {
    intrusive_list<io_op> operations;
    bool ready = true;  // see I1
};

struct epoll_driver::watch {
    [[nodiscard]] direction& of(io_op const& op) noexcept {
        return op.kind->waits == io_wait::for_input ? input : output;
    }

    void reset(std::uint64_t owner) noexcept {
        WEFT_ASSERT(input.operations.empty() && output.operations.empty(),
                    "a descriptor is closed while operations wait for it");
        serial = owner;
        input.ready = output.ready = true;
        stops_short = false;
        unclaimed = 0;
    }

    std::uint64_t serial = 0;  // of the registered socket; 0: none
    direction input;
    direction output;
    bool stops_short = false;  // a short transfer does not mean that the socket is drained (I2)
    unsigned unclaimed = 0;    // edges in a row that found nobody waiting (I5)
};

result<epoll_driver*> epoll_driver::create() {
    int const set = sys::epoll_set(EPOLL_CLOEXEC);
    if (set < 0) {
        return failure(std::error_code(-set, std::system_category()));
    }
    unique_fd owned_set(set);
    int const wake_fd = sys::event_counter(EFD_CLOEXEC | EFD_NONBLOCK);
    if (wake_fd < 0) {
        return failure(std::error_code(-wake_fd, std::system_category()));
    }
    unique_fd owned_wake_fd(wake_fd);
    int const added = sys::epoll_add(set, wake_fd, event_of(wake_fd, EPOLLIN | EPOLLET));
    if (added < 0) {
        return failure(std::error_code(-added, std::system_category()));
    }
    return new epoll_driver(std::move(owned_set), std::move(owned_wake_fd));
}

epoll_driver::epoll_driver(unique_fd set, unique_fd wake_fd) noexcept
    : set_(std::move(set))
    , wake_fd_(std::move(wake_fd)) {
    io_ = this;
}

epoll_driver::~epoll_driver() {
    WEFT_ASSERT(in_flight_ == 0, "a driver is destroyed while operations wait in it");
}

void epoll_driver::detach() noexcept {
    WEFT_CHECK(in_flight_ == 0, "a driver is detached while operations wait in it");
}

// --- a turn ---------------------------------------------------------------------------

void epoll_driver::poll() noexcept {
    serve_untried();
    collect(0);
}

void epoll_driver::park(nanoseconds_u64 deadline) noexcept {
    nanoseconds_u64 timeout = no_deadline;
    bool const worked = !untried_.empty();
    serve_untried();
    if (woken_ || worked) {
        timeout = 0;  // what these operations brought is not to wait for more
    } else if (deadline != no_deadline) {
        nanoseconds_u64 const time = now();
        timeout = deadline > time ? deadline - time : 0;
    }
    collect(timeout);
    woken_ = false;
}

void epoll_driver::collect(nanoseconds_u64 timeout) noexcept {
    ::epoll_event events[batch_size];
    int const count = wait(events, timeout);
    if (count >= 0) [[likely]] {
        errors_.note_success();
    } else if (count == -EINTR) {
        errors_.note_interruption();
    } else {
        errors_.note_failure(-count);
    }
    for (int i = 0; i < count; ++i) {
        on_event(events[i].data.fd, events[i].events);
    }
}

int epoll_driver::wait(::epoll_event* events, nanoseconds_u64 timeout) noexcept {
    ++statistics_.waits;
    if (timeout == 0 || timeout == no_deadline) {
        return sys::epoll_wait(set_.value(), events, batch_size, timeout == 0 ? 0 : -1);
    }
    if (precise_waits_) {
        constexpr nanoseconds_u64 second = 1'000'000'000U;
        ::timespec limit{};
        limit.tv_sec = static_cast<std::time_t>(timeout / second);
        limit.tv_nsec = static_cast<long>(timeout % second);
        int const count = sys::epoll_wait_precisely(set_.value(), events, batch_size, limit);
        if (count >= 0 || count == -EINTR) {
            return count;
        }
        precise_waits_ = false;  // ENOSYS of an old kernel; EPERM or whatever else of a filter
    }
    constexpr nanoseconds_u64 millisecond = 1'000'000U;
    nanoseconds_u64 const rounded = (timeout + millisecond - 1) / millisecond;
    return sys::epoll_wait(
        set_.value(), events, batch_size, rounded < INT_MAX ? static_cast<int>(rounded) : INT_MAX);
}

void epoll_driver::on_event(int fd, std::uint32_t what) noexcept {
    if (fd == wake_fd_.value()) {
        woken_ = true;
        return;
    }
    watch* const watched = slot_of(fd);
    if (watched == nullptr || watched->serial == 0) {
        return;
    }
    bool const claimed = !watched->input.operations.empty() || !watched->output.operations.empty();
    watched->stops_short = watched->stops_short || (what & stops) != 0;
    if ((what & (EPOLLIN | stops)) != 0) {
        watched->input.ready = true;
        serve(watched->input, *watched);
    }
    if ((what & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0) {
        watched->output.ready = true;
        serve(watched->output, *watched);
    }
    watched->unclaimed = claimed ? 0 : watched->unclaimed + 1;
    if (watched->unclaimed >= unclaimed_max) {
        drop(fd, *watched);  // keeps I5
    }
}

void epoll_driver::serve(direction& waiting, watch& watched) noexcept {
    while (waiting.ready) {
        io_op* const op = waiting.operations.front();
        if (op == nullptr || attempt(*op, &watched) == attempt_result::not_ready) {
            return;
        }
        list_hook(*op).unlink();
        finish(*op);
    }
}

/// keeps I4
void epoll_driver::serve_untried() noexcept {
    intrusive_list<io_op> batch;
    batch.splice_back(untried_);
    while (io_op* const op = batch.pop_front()) {
        if (attempt(*op, find(*op)) == attempt_result::over) {
            finish(*op);
        } else {
            wait_for_readiness(*op);
        }
    }
}

// --- operations -------------------------------------------------------------------------

/// Tries until the operation is over or its descriptor is not ready.
epoll_driver::attempt_result epoll_driver::attempt(io_op& op, watch* watched) noexcept {
    for (;;) {
        ++statistics_.attempts;
        io_attempt const tried = op.kind->attempt(op);
        bool const not_ready = tried.value == -EAGAIN;  // EWOULDBLOCK is the same number
        if (watched != nullptr && (not_ready || (tried.drained && !watched->stops_short))) {
            watched->of(op).ready = false;  // keeps I1, I2
        }
        if (not_ready) {
            ++statistics_.postponed;
            return attempt_result::not_ready;
        }
        if (op.absorb(tried.answer())) {
            return attempt_result::over;
        }
        if (watched != nullptr && !watched->of(op).ready) {
            return attempt_result::not_ready;
        }
    }
}

bool epoll_driver::try_now(io_op& op) noexcept {
    watch* const watched = find(op);
    op.was_attempted = true;
    bool const is_futile = watched != nullptr && !watched->of(op).ready;
    return !is_futile && attempt(op, watched) == attempt_result::over;
}

void epoll_driver::start(io_op& op) noexcept {
    WEFT_ASSERT(!op.is_over, "an operation is started twice");
    ++in_flight_;
    if (op.was_attempted) {
        wait_for_readiness(op);
    } else {
        untried_.push_back(op);
    }
}

/// An attempt found the socket not ready. A new registration reports what is ready already, so
/// nothing is lost between the attempt and it.
void epoll_driver::wait_for_readiness(io_op& op) noexcept {
    watch* watched = find(op);
    if (watched == nullptr) {
        if (int const answer = add(op, watched); answer < 0) {
            WEFT_CHECK(op.absorb({answer}), "an operation goes on although nothing ends it");
            finish(op);
            return;
        }
    }
    watched->of(op).operations.push_back(op);
}

void epoll_driver::cancel(io_op& op) noexcept {
    WEFT_ASSERT(!op.is_over, "an operation that is over is cancelled");
    op.cancel_wanted = true;
    list_hook(op).unlink();
    WEFT_CHECK(op.absorb({-ECANCELED}), "a cancelled operation goes on");
    finish(op);
}

void epoll_driver::finish(io_op& op) noexcept {
    --in_flight_;
    op.finish();
}

// --- watches ----------------------------------------------------------------------------

/// The watch of the descriptor that the operation waits for, or null when there is none here.
epoll_driver::watch* epoll_driver::find(io_op const& op) noexcept {
    if (op.kind->waits == io_wait::never) {
        return nullptr;
    }
    watch* const slot = slot_of(op.descriptor->fd());
    return slot != nullptr && slot->serial == op.descriptor->serial() ? slot : nullptr;
}

epoll_driver::watch* epoll_driver::slot_of(int fd) noexcept {
    auto const index = static_cast<std::size_t>(fd);
    if (index / page_size >= pages_.size() || pages_[index / page_size] == nullptr) {
        return nullptr;
    }
    return &pages_[index / page_size][index % page_size];
}

/// Registers the operation's descriptor: 0 and the watch, or -errno.
int epoll_driver::add(io_op& op, watch*& added) noexcept {
    int const fd = op.descriptor->fd();
    auto const page = static_cast<std::size_t>(fd) / page_size;
    try {
        if (page >= pages_.size()) {
            pages_.resize(page + 1);
        }
        if (pages_[page] == nullptr) {
            pages_[page] = std::make_unique<watch[]>(page_size);
        }
    } catch (std::bad_alloc const&) {
        return -ENOMEM;
    }
    ++statistics_.registrations;
    int answer = sys::epoll_add(set_.value(), fd, event_of(fd, both_directions));
    if (answer == -EEXIST) {
        answer = sys::epoll_modify(set_.value(), fd, event_of(fd, both_directions));
    }
    if (answer < 0) {
        return answer;
    }
    added = &pages_[page][static_cast<std::size_t>(fd) % page_size];
    added->reset(op.descriptor->serial());
    return 0;
}

void epoll_driver::drop(int fd, watch& watched) noexcept {
    ++statistics_.registrations;
    (void)sys::epoll_remove(set_.value(), fd);
    watched.reset(0);
}

// --- wake-up and clock ------------------------------------------------------------------

void epoll_driver::wake() noexcept {
    std::uint64_t const one = 1;
    // The counter would have to reach 2^64 - 1 for this to fail.
    while (sys::write(wake_fd_.value(), &one, sizeof one) == -EINTR) {
    }
}

nanoseconds_u64 epoll_driver::now() const noexcept {
    return sys::monotonic_ns();
}

}  // namespace weft::detail
