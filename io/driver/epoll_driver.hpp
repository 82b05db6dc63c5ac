#pragma once

/// The driver over an epoll set of the worker's own, for machines that refuse io_uring. Made by
/// `epoll_driver::create()` on any thread; attach() binds it to the worker's. How it works:
/// epoll_driver.cpp, Protocol.

#include <weft/io/driver/wait_errors.hpp>
#include <weft/io/op/op.hpp>
#include <weft/runtime/base/intrusive_list.hpp>
#include <weft/runtime/sched/driver.hpp>
#include <weft/runtime/values/unique_fd.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

struct epoll_event;

namespace weft::detail {

struct epoll_statistics {
    std::uint64_t waits = 0;          ///< epoll_wait calls
    std::uint64_t registrations = 0;  ///< epoll_ctl calls
    std::uint64_t attempts = 0;       ///< system calls that tried to transfer something
    std::uint64_t postponed = 0;      ///< attempts that found the socket not ready
};

class epoll_driver final : public driver, public io_backend {
public:
    [[nodiscard]] static result<epoll_driver*> create();

    ~epoll_driver() override;

    // --- driver ------------------------------------------------------------------------
    void detach() noexcept override;
    void poll() noexcept override;
    void park(nanoseconds_u64 deadline) noexcept override;
    void wake() noexcept override;
    [[nodiscard]] nanoseconds_u64 now() const noexcept override;

    [[nodiscard]] bool has_pending() const noexcept override { return in_flight_ != 0; }

    // --- io_backend --------------------------------------------------------------------
    [[nodiscard]] bool try_now(io_op& op) noexcept override;
    void start(io_op& op) noexcept override;
    void cancel(io_op& op) noexcept override;

    [[nodiscard]] std::size_t in_flight() const noexcept override { return in_flight_; }

    [[nodiscard]] char const* name() const noexcept override { return "epoll"; }

    // --- owner --------------------------------------------------------------------------
    [[nodiscard]] epoll_statistics const& statistics() const noexcept { return statistics_; }

private:
    struct direction;
    struct watch;

    enum class attempt_result : std::uint8_t { over, not_ready };

    epoll_driver(unique_fd set, unique_fd wake_fd) noexcept;

    [[nodiscard]] watch* find(io_op const& op) noexcept;
    [[nodiscard]] watch* slot_of(int fd) noexcept;
    [[nodiscard]] int add(io_op& op, watch*& added) noexcept;
    void drop(int fd, watch& watched) noexcept;
    [[nodiscard]] attempt_result attempt(io_op& op, watch* watched) noexcept;
    void wait_for_readiness(io_op& op) noexcept;
    void serve(direction& waiting, watch& watched) noexcept;
    void serve_untried() noexcept;
    void collect(nanoseconds_u64 timeout) noexcept;
    [[nodiscard]] int wait(::epoll_event* events, nanoseconds_u64 timeout) noexcept;
    void on_event(int fd, std::uint32_t what) noexcept;
    void finish(io_op& op) noexcept;

    // --- constant after construction -------------------------------------------
    unique_fd set_;

    // --- any thread: wake() writes to the descriptor, which is constant -------------
    unique_fd wake_fd_;

    // --- owner thread only ------------------------------------------------------
    std::vector<std::unique_ptr<watch[]>> pages_;  // by descriptor
    intrusive_list<io_op> untried_;                // started without an attempt (I4)
    std::size_t in_flight_ = 0;
    bool woken_ = false;         // a wake was seen and no park has returned since
    bool precise_waits_ = true;  // the kernel takes timeouts in nanoseconds
    wait_errors errors_{"epoll_wait"};
    epoll_statistics statistics_;
};

}  // namespace weft::detail
