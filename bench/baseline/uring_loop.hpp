#pragma once

#include <weft/bench/baseline/sockets.hpp>

#include <cerrno>
#include <cstddef>

#include <liburing.h>
#include <poll.h>

namespace baseline {

/// A ring and the loop over its completions. Made, run and destroyed on one thread, as
/// IORING_SETUP_SINGLE_ISSUER demands. Every operation is one-shot and carries a tag of the
/// caller's choice.
class uring_loop {
public:
    uring_loop() {
        ::io_uring_params params{};
        params.flags =
            IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_COOP_TASKRUN;
        if (int const result = ::io_uring_queue_init_params(entry_count, &ring_, &params);
            result < 0) {
            fail("io_uring_queue_init_params", -result);
        }
        // Spares a look-up of the ring's descriptor in every io_uring_enter.
        if (int const result = ::io_uring_register_ring_fd(&ring_); result < 0) {
            fail("io_uring_register_ring_fd", -result);
        }
    }

    ~uring_loop() { ::io_uring_queue_exit(&ring_); }

    uring_loop(uring_loop const&) = delete;
    uring_loop& operator=(uring_loop const&) = delete;

    void accept(int listener, void* tag) {
        auto* const sqe = next_sqe();
        ::io_uring_prep_accept(sqe, listener, nullptr, nullptr, SOCK_CLOEXEC);
        ::io_uring_sqe_set_data(sqe, tag);
    }

    /// The answer to what was just sent cannot have arrived yet, so the kernel is told to wait for
    /// it before it tries to read.
    void recv(int socket, void* target, std::size_t size_bytes, void* tag) {
        auto* const sqe = next_sqe();
        ::io_uring_prep_recv(sqe, socket, target, size_bytes, 0);
        sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
        ::io_uring_sqe_set_data(sqe, tag);
    }

    void send(int socket, void const* source, std::size_t size_bytes, void* tag) {
        auto* const sqe = next_sqe();
        ::io_uring_prep_send(sqe, socket, source, size_bytes, MSG_NOSIGNAL);
        ::io_uring_sqe_set_data(sqe, tag);
    }

    void poll_readable(int fd, void* tag) {
        auto* const sqe = next_sqe();
        ::io_uring_prep_poll_add(sqe, fd, POLLIN);
        ::io_uring_sqe_set_data(sqe, tag);
    }

    /// Submits what has been prepared and hands each completion to `complete(tag, result)`, until
    /// `stop` is called from there.
    template <class Complete>
    void run(Complete complete) {
        while (!stopped_) {
            if (int const result = ::io_uring_submit_and_wait(&ring_, 1);
                result < 0 && result != -EINTR) {
                fail("io_uring_submit_and_wait", -result);
            }
            unsigned head = 0;
            unsigned reaped_count = 0;
            ::io_uring_cqe* cqe = nullptr;
            io_uring_for_each_cqe(&ring_, head, cqe) {
                complete(::io_uring_cqe_get_data(cqe), cqe->res);
                ++reaped_count;
            }
            ::io_uring_cq_advance(&ring_, reaped_count);
        }
    }

    void stop() noexcept { stopped_ = true; }

private:
    // More than the operations prepared between two waits: with one in flight per connection the
    // queue is full only beyond this many connections, and the early submit below takes care then.
    static constexpr unsigned entry_count = 1024;

    ::io_uring_sqe* next_sqe() {
        if (auto* const sqe = ::io_uring_get_sqe(&ring_)) {
            return sqe;
        }
        if (int const result = ::io_uring_submit(&ring_); result < 0) {
            fail("io_uring_submit", -result);
        }
        auto* const sqe = ::io_uring_get_sqe(&ring_);
        if (sqe == nullptr) {
            fail("io_uring_get_sqe", EAGAIN);
        }
        return sqe;
    }

    ::io_uring ring_{};
    bool stopped_ = false;
};

}  // namespace baseline
