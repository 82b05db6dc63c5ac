#pragma once

/// The driver over an io_uring of the worker's own. Made by
///
///     std::string report;
///     auto made = uring_driver::create(options, report);   // result<uring_driver*>, caller's
///
/// on any thread; attach() binds it to the worker's. When there is no driver, `report` says why and
/// the caller takes another one (epoll); when there is, it tells what was granted. How it works:
/// uring_driver.cpp, Protocol.

#include <weft/io/driver/wait_errors.hpp>
#include <weft/io/op/op.hpp>
#include <weft/io/ring/uring_options.hpp>
#include <weft/runtime/base/intrusive_list.hpp>
#include <weft/runtime/sched/driver.hpp>
#include <weft/runtime/values/unique_fd.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

struct io_uring_sqe;

namespace weft::detail {

class ring;

struct uring_statistics {
    std::uint64_t enters = 0;         ///< system calls
    std::uint64_t submissions = 0;    ///< entries prepared
    std::uint64_t completions = 0;    ///< answers reaped
    std::uint64_t cancellations = 0;  ///< cancellations prepared
    std::uint64_t postponed =
        0;  ///< operations and cancellations that found no place and waited for one
    std::uint64_t refused = 0;    ///< enters that took nothing: EAGAIN, EBUSY, ENOMEM
    std::uint64_t overflows = 0;  ///< turns that found completions in the kernel's overflow list
};

class uring_driver final : public driver, public io_backend {
public:
    [[nodiscard]] static result<uring_driver*> create(uring_options const& options,
                                                      std::string& report);

    /// Requires: detached, or never attached.
    ~uring_driver() override;

    // --- driver ------------------------------------------------------------------------
    void attach() noexcept override;
    void detach() noexcept override;
    void poll() noexcept override;
    void park(nanoseconds_u64 deadline) noexcept override;
    void wake() noexcept override;
    [[nodiscard]] nanoseconds_u64 now() const noexcept override;
    [[nodiscard]] bool has_pending() const noexcept override;

    // --- io_backend --------------------------------------------------------------------

    /// Always false: an entry in the next batch costs less than a system call of its own.
    [[nodiscard]] bool try_now(io_op& op) noexcept override;
    void start(io_op& op) noexcept override;
    void cancel(io_op& op) noexcept override;

    [[nodiscard]] std::size_t in_flight() const noexcept override { return in_flight_; }

    [[nodiscard]] char const* name() const noexcept override { return "uring"; }

    // --- owner --------------------------------------------------------------------------
    [[nodiscard]] uring_statistics statistics() const noexcept;
    [[nodiscard]] uring_features features() const noexcept;

private:
    /// A descriptor whose readability the ring reports until told otherwise.
    struct watch {
        unique_fd fd;
        bool armed = false;
        bool lasts = false;  // armed in the multishot form
    };

    enum class tag : std::uint64_t;

    uring_driver(std::unique_ptr<ring> opened, unique_fd wake_fd, unique_fd timer_fd);

    [[nodiscard]] ::io_uring_sqe* next_sqe() noexcept;
    [[nodiscard]] bool submit(io_op& op) noexcept;
    void submit_or_postpone(io_op& op) noexcept;
    [[nodiscard]] bool submit_cancel(io_op& op) noexcept;
    void arm(watch& watched, tag name) noexcept;
    void hand_over() noexcept;
    [[nodiscard]] bool accepted(int answer) noexcept;
    void collect() noexcept;
    void block(nanoseconds_u64 deadline) noexcept;
    void set_timer(nanoseconds_u64 deadline) noexcept;
    void reap() noexcept;
    void take_answer(std::uint64_t user_data, int result, unsigned flags) noexcept;
    void on_watch(watch& watched, int result, unsigned flags) noexcept;
    void on_answer(io_op& op, int result, unsigned flags) noexcept;
    void on_cancel_answer(io_op& op, int result) noexcept;
    void finish(io_op& op) noexcept;

    // --- constant after construction -------------------------------------------
    std::unique_ptr<ring> ring_;

    // --- any thread: wake() writes to the descriptor, which is constant -------------
    watch wake_;

    // --- owner thread only ------------------------------------------------------
    watch timer_;  // only without ext_arg
    nanoseconds_u64 timer_deadline_ = no_deadline;
    bool woken_ = false;      // a wake was reaped and no park has returned since
    bool multishot_ = false;  // watches last; cleared if the kernel refuses one
    std::size_t in_flight_ = 0;
    intrusive_list<io_op> postponed_;          // started, not in the kernel (I2)
    intrusive_list<io_op> postponed_cancels_;  // in the kernel; the cancellation is not (I3)
    wait_errors errors_{"io_uring_enter"};
    uring_statistics statistics_;
};

}  // namespace weft::detail
