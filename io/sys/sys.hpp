#pragma once

/// The switch point of the system calls of I/O: every one that this folder makes stands here, below
/// both drivers, so that a build of its own can put a kernel of its own in their place. For what
/// WEFT_SYS_REPLACED means, and what a call gives, see runtime/base/sys.hpp.
///
/// The ring's calls take liburing's structure, whose queues are mapped by ring_map(): whoever
/// replaces them owns the queues' memory. Nothing else of liburing makes a system call.

#include <weft/runtime/base/sys.hpp>

#include <liburing.h>

#if !defined(WEFT_SYS_REPLACED)

#include <csignal>

#include <linux/sockios.h>
#include <net/if.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>

namespace weft::detail::sys {

// --- sockets ------------------------------------------------------------------------------

[[nodiscard]] inline int socket(int family, int type, int protocol) noexcept {
    return answer_of(::socket(family, type, protocol));
}

[[nodiscard]] inline int bind(int fd, ::sockaddr const* local, ::socklen_t length) noexcept {
    return answer_of(::bind(fd, local, length));
}

[[nodiscard]] inline int listen(int fd, int backlog) noexcept {
    return answer_of(::listen(fd, backlog));
}

[[nodiscard]] inline int accept(int fd, ::sockaddr* peer, ::socklen_t* length, int flags) noexcept {
    return answer_of(::accept4(fd, peer, length, flags));
}

[[nodiscard]] inline int connect(int fd, ::sockaddr const* peer, ::socklen_t length) noexcept {
    return answer_of(::connect(fd, peer, length));
}

[[nodiscard]] inline int local_name(int fd, ::sockaddr* into, ::socklen_t* length) noexcept {
    return answer_of(::getsockname(fd, into, length));
}

[[nodiscard]] inline int peer_name(int fd, ::sockaddr* into, ::socklen_t* length) noexcept {
    return answer_of(::getpeername(fd, into, length));
}

[[nodiscard]] inline int option(
    int fd, int level, int name, void* into, ::socklen_t* length) noexcept {
    return answer_of(::getsockopt(fd, level, name, into, length));
}

[[nodiscard]] inline int set_option(
    int fd, int level, int name, void const* value, std::size_t length) noexcept {
    return answer_of(::setsockopt(fd, level, name, value, static_cast<::socklen_t>(length)));
}

[[nodiscard]] inline int shutdown(int fd, int how) noexcept {
    return answer_of(::shutdown(fd, how));
}

[[nodiscard]] inline int receive(int fd, void* into, std::size_t count, int flags) noexcept {
    return answer_of(::recv(fd, into, count, flags));
}

[[nodiscard]] inline int send(int fd, void const* from, std::size_t count, int flags) noexcept {
    return answer_of(::send(fd, from, count, flags));
}

[[nodiscard]] inline int receive_message(int fd, ::msghdr* header, int flags) noexcept {
    return answer_of(::recvmsg(fd, header, flags));
}

[[nodiscard]] inline int send_message(int fd, ::msghdr const* header, int flags) noexcept {
    return answer_of(::sendmsg(fd, header, flags));
}

/// Bytes in the receive queue.
[[nodiscard]] inline int unread_bytes(int fd) noexcept {
    int count = 0;
    int const answer = answer_of(::ioctl(fd, SIOCINQ, &count));
    return answer < 0 ? answer : count;
}

// --- descriptors of any kind ----------------------------------------------------------------

[[nodiscard]] inline int read(int fd, void* into, std::size_t count) noexcept {
    return answer_of(::read(fd, into, count));
}

[[nodiscard]] inline int write(int fd, void const* from, std::size_t count) noexcept {
    return answer_of(::write(fd, from, count));
}

[[nodiscard]] inline int poll(::pollfd* asked, unsigned count, int timeout_ms) noexcept {
    return answer_of(::poll(asked, count, timeout_ms));
}

[[nodiscard]] inline int event_counter(int flags) noexcept {
    return answer_of(::eventfd(0, flags));
}

[[nodiscard]] inline int timer(int flags) noexcept {
    return answer_of(::timerfd_create(CLOCK_MONOTONIC, flags));
}

/// At a time of CLOCK_MONOTONIC, once.
[[nodiscard]] inline int set_timer(int fd, ::itimerspec const& when) noexcept {
    return answer_of(::timerfd_settime(fd, TFD_TIMER_ABSTIME, &when, nullptr));
}

// --- signals ------------------------------------------------------------------------------

/// Blocks signals for the calling thread.
[[nodiscard]] inline int block_signals(::sigset_t const& wanted) noexcept {
    return -::pthread_sigmask(SIG_BLOCK, &wanted, nullptr);
}

[[nodiscard]] inline int signal_descriptor(::sigset_t const& wanted, int flags) noexcept {
    return answer_of(::signalfd(-1, &wanted, flags));
}

// --- interfaces ---------------------------------------------------------------------------

/// The number of the interface of that name.
[[nodiscard]] inline int interface_index(char const* name) noexcept {
    unsigned const index = ::if_nametoindex(name);
    return index != 0 ? static_cast<int>(index) : -errno;
}

// --- epoll --------------------------------------------------------------------------------

[[nodiscard]] inline int epoll_set(int flags) noexcept {
    return answer_of(::epoll_create1(flags));
}

[[nodiscard]] inline int epoll_add(int set, int fd, ::epoll_event event) noexcept {
    return answer_of(::epoll_ctl(set, EPOLL_CTL_ADD, fd, &event));
}

[[nodiscard]] inline int epoll_modify(int set, int fd, ::epoll_event event) noexcept {
    return answer_of(::epoll_ctl(set, EPOLL_CTL_MOD, fd, &event));
}

/// The number may stand for another file by now, which the set does not know: the call fails then.
/// It is made without the C library, where ThreadSanitizer would see a use of that file.
[[nodiscard]] inline int epoll_remove(int set, int fd) noexcept {
    return answer_of(::syscall(SYS_epoll_ctl, set, EPOLL_CTL_DEL, fd, nullptr));
}

/// `timeout_ms` below 0: no limit.
[[nodiscard]] inline int epoll_wait(int set,
                                    ::epoll_event* events,
                                    int capacity,
                                    int timeout_ms) noexcept {
    return answer_of(::epoll_wait(set, events, capacity, timeout_ms));
}

/// The same with a limit in nanoseconds; older kernels lack it.
[[nodiscard]] inline int epoll_wait_precisely(int set,
                                              ::epoll_event* events,
                                              int capacity,
                                              ::timespec const& limit) noexcept {
    return answer_of(::epoll_pwait2(set, events, capacity, &limit, nullptr));
}

// --- io_uring -----------------------------------------------------------------------------

[[nodiscard]] inline int ring_setup(unsigned entries, ::io_uring_params& params) noexcept {
    return ::io_uring_setup(entries, &params);
}

/// Maps the queues of a ring that was set up.
[[nodiscard]] inline int ring_map(int fd, ::io_uring_params& params, ::io_uring& ring) noexcept {
    return ::io_uring_queue_mmap(fd, &params, &ring);
}

/// Gives the queues back and closes the ring.
inline void ring_unmap(::io_uring& ring) noexcept {
    ::io_uring_queue_exit(&ring);
}

/// Takes the queues out of what a child of fork gets.
[[nodiscard]] inline int ring_hide_from_children(::io_uring& ring) noexcept {
    return ::io_uring_ring_dontfork(&ring);
}

/// What the kernel offers, or null; for ring_release_probe().
[[nodiscard]] inline ::io_uring_probe* ring_probe(::io_uring& ring) noexcept {
    return ::io_uring_get_probe_ring(&ring);
}

inline void ring_release_probe(::io_uring_probe* probe) noexcept {
    ::io_uring_free_probe(probe);
}

/// By number: liburing 2.3 declares io_uring_enable_rings() and does not export it.
[[nodiscard]] inline int ring_enable(::io_uring& ring) noexcept {
    return ::io_uring_register(
        static_cast<unsigned>(ring.ring_fd), IORING_REGISTER_ENABLE_RINGS, nullptr, 0);
}

/// 1 when the calling thread may name the ring by a number of its own from now on.
[[nodiscard]] inline int ring_register_descriptor(::io_uring& ring) noexcept {
    return ::io_uring_register_ring_fd(&ring);
}

[[nodiscard]] inline int ring_unregister_descriptor(::io_uring& ring) noexcept {
    return ::io_uring_unregister_ring_fd(&ring);
}

/// `argument`: the limit of a wait, for IORING_ENTER_EXT_ARG, or null.
[[nodiscard]] inline int ring_enter(::io_uring& ring,
                                    unsigned to_submit,
                                    unsigned wait_for,
                                    unsigned flags,
                                    ::io_uring_getevents_arg* argument) noexcept {
    auto const descriptor = static_cast<unsigned>(ring.enter_ring_fd);
    if (argument == nullptr) {
        return ::io_uring_enter(descriptor, to_submit, wait_for, flags, nullptr);
    }
    // liburing declares the argument as the signal mask that it was in the first kernels.
    auto* const untyped = static_cast<void*>(argument);
    return ::io_uring_enter2(descriptor,
                             to_submit,
                             wait_for,
                             flags,
                             static_cast<::sigset_t*>(untyped),
                             sizeof *argument);
}

}  // namespace weft::detail::sys

#endif
