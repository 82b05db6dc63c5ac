#pragma once

#include <weft/runtime/pool/runtime_base.hpp>

#include <string>

namespace weft {

/// In what the workers wait for I/O.
enum class driver_kind {
    automatic,  ///< io_uring where the kernel grants it, else epoll
    uring,      ///< io_uring, or the constructor throws
    epoll,
};

/// How to build a runtime: `weft::runtime rt({.workers = 4});`. The defaults suit a server.
struct runtime_options {
    /// 0: one per available processor.
    unsigned workers = 0;

    /// WEFT_DRIVER=uring|epoll in the environment replaces `automatic`.
    driver_kind driver = driver_kind::automatic;

    /// Submission queue entries of each ring, and completion queue entries (0: 16 times as many).
    /// WEFT_URING_ENTRIES and WEFT_CQ_ENTRIES in the environment replace them.
    unsigned ring_entries = 256;
    unsigned completion_entries = 0;

    /// Hears of the errors of spawned tasks that nobody joins; at first, they go to stderr.
    error_hook on_unhandled_error = error_hook();
};

/// The composition root: a work-stealing pool with one I/O driver per worker.
///
/// If io_uring is refused (a container's seccomp filter, a sysctl, an old kernel, a memory limit)
/// the same program runs on epoll; `driver_report` says which it is and why.
///
/// Thread safety, cancellation, lifetime: as for runtime_base.
/// Complexity: one thread, one ring (or epoll set) and two descriptors per worker.
/// Errors: the constructor throws std::system_error when no driver can be made, with what was tried
///     in the message, and for an environment variable that it does not understand;
///     std::invalid_argument for more than 1024 workers.
/// Example: examples/echo_server.cpp
class runtime : public runtime_base {
public:
    explicit runtime(runtime_options const& options = runtime_options());

    ~runtime() { end(); }  // tasks may ask for the report to the last

    /// "io_uring: …" or "epoll: …", with the features in use or the reason for the step down.
    [[nodiscard]] std::string const& driver_report() const noexcept { return report_; }

    /// True when the workers wait in io_uring.
    [[nodiscard]] bool uses_uring() const noexcept { return uses_uring_; }

    /// Operations that are in the kernel or wait for it, over all workers; meaningful when the
    /// workers rest.
    [[nodiscard]] std::size_t operations_in_flight() noexcept;

private:
    class driver_set;

    runtime(driver_set&& drivers, error_hook const& on_unhandled_error);

    std::string report_;
    bool uses_uring_;
};

}  // namespace weft
