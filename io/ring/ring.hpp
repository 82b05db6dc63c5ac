#pragma once

/// One io_uring instance: set-up, the two queues, and the system call. The only header that sees
/// <liburing.h>.
///
/// Queue positions are kept here and not by liburing: entries go to the kernel when, and only when,
/// one of the enter functions is called. A ring is made on one thread and used by another, its
/// owner, from enable() to retire().
///
/// I1 Only the owner calls what stands under "owner"; the kernel relies on it (SINGLE_ISSUER).
/// I2 An entry that try_sqe() has given out belongs to the kernel from the next enter on, even if
///    that enter fails: it stays queued, and a later enter hands it over.

#include <weft/io/ring/uring_options.hpp>
#include <weft/runtime/sched/driver.hpp>

#include <cstdint>
#include <string>
#include <system_error>

#include <liburing.h>
#include <pthread.h>

namespace weft::detail {

class ring {
public:
    /// A completion, copied out of the ring.
    struct answer {
        std::uint64_t user_data;
        std::int32_t result;
        std::uint32_t flags;
    };

    ring() noexcept = default;
    ring(ring const&) = delete;
    ring& operator=(ring const&) = delete;
    ~ring();

    /// Any thread, once, before everything else. Tries flag sets from best to plain, and smaller
    /// rings when memory is short. `report` becomes one line that tells what was granted, or why
    /// there is no ring.
    [[nodiscard]] std::error_code open(uring_options const& options, std::string& report);

    // --- constant after open(), registered_ring_fd after enable() ------------------
    [[nodiscard]] uring_features features() const noexcept { return features_; }

    [[nodiscard]] bool has(uring_feature feature) const noexcept { return features_.has(feature); }

    [[nodiscard]] unsigned entries() const noexcept { return sq_entries_; }

    [[nodiscard]] unsigned completion_entries() const noexcept { return cq_entries_; }

    // --- owner: life ---------------------------------------------------------------

    /// Binds the ring to the calling thread.
    void enable() noexcept;

    /// Undoes what enable() did for the thread. The ring can only be destroyed afterwards.
    void retire() noexcept;

    // --- owner: submission ---------------------------------------------------------

    /// An entry to fill with one of the prep functions, or null when the queue is full.
    [[nodiscard]] ::io_uring_sqe* try_sqe() noexcept;

    /// Entries that the kernel has not taken yet.
    [[nodiscard]] unsigned unsubmitted() const noexcept;

    /// Hands over what is queued. Entries taken, or -errno.
    int submit() noexcept { return enter(unsubmitted(), 0, 0, no_deadline); }

    /// submit(), and makes the kernel produce the completions it has put off.
    int collect() noexcept { return enter(unsubmitted(), 0, IORING_ENTER_GETEVENTS, no_deadline); }

    /// submit(), and waits for a completion, at most `limit` nanoseconds. A limit needs ext_arg.
    int wait(nanoseconds_u64 limit) noexcept {
        return enter(unsubmitted(), 1, IORING_ENTER_GETEVENTS, limit);
    }

    /// collect() and wait() without handing anything over, for when the kernel refuses to take
    /// entries.
    int collect_only() noexcept { return enter(0, 0, IORING_ENTER_GETEVENTS, no_deadline); }

    int wait_only(nanoseconds_u64 limit) noexcept {
        return enter(0, 1, IORING_ENTER_GETEVENTS, limit);
    }

    // --- owner: completion ---------------------------------------------------------

    [[nodiscard]] bool has_completions() const noexcept;

    /// Entering would produce completions: work was put off, or completions stand in the kernel's
    /// overflow list.
    [[nodiscard]] bool wants_enter() const noexcept;

    /// Completions stand in the kernel's overflow list.
    [[nodiscard]] bool has_overflow() const noexcept;

    /// Copies up to `capacity` completions out of the ring and frees their places.
    [[nodiscard]] unsigned take(answer* answers, unsigned capacity) noexcept;

    /// System calls made by the functions above.
    [[nodiscard]] std::uint64_t enter_count() const noexcept { return enter_count_; }

private:
    [[nodiscard]] int set_up(uring_options const& options) noexcept;
    [[nodiscard]] int set_up_with(uring_features flags, uring_options const& options) noexcept;
    [[nodiscard]] bool map(int fd, ::io_uring_params& params) noexcept;
    [[nodiscard]] std::string probe(uring_features allowed);
    int enter(unsigned to_submit,
              unsigned wait_for,
              unsigned flags,
              nanoseconds_u64 limit) noexcept;
    void assert_owner() const noexcept;

    // --- constant after open() -----------------------------------------------------
    ::io_uring uring_{};
    uring_features features_;
    unsigned setup_flags_ = 0;
    unsigned sq_entries_ = 0;
    unsigned cq_entries_ = 0;
    unsigned enter_flags_ = 0;
    unsigned wants_enter_mask_ = 0;
    bool flagless_ = false;  // work is put off and no flag tells: assume there always is some
    unsigned enter_fault_period_ = 0;
    int enter_fault_ = 0;

    // --- owner thread only -----------------------------------------------------------
    ::pthread_t owner_{};
    bool enabled_ = false;
    unsigned sq_tail_ = 0;  // given out; the kernel sees it at the next enter
    unsigned cq_head_ = 0;
    std::uint64_t enter_count_ = 0;
    std::uint32_t enter_fault_random_ = 1;
};

}  // namespace weft::detail
