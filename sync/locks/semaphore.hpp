#pragma once

#include <weft/runtime/base/argument.hpp>
#include <weft/runtime/wait/wait_list.hpp>

#include <cstddef>
#include <utility>

namespace weft {

class semaphore;

namespace detail {

struct acquire_wait;

/// What a semaphore is behind its name.
///
/// Protocol. The word holds the free permits, and `contended` while tasks wait; then it changes
/// under lock_ only.
/// I1 A contended word leaves the fast paths no way: who comes queues behind the others, however
///    few permits it wants.
/// I2 While tasks wait, there are too few free permits for the first of them. (Branches of decided
///    selects aside, which are about to leave.)
/// I3 Free permits that nobody waits for are published without lock_, as the last access: whoever
///    acquires them may destroy the semaphore.
class semaphore_core {
public:
    static constexpr std::size_t permits_max = ~std::size_t{0} >> 1;

    semaphore_core(std::size_t permits, std::size_t limit);

    semaphore_core(semaphore_core const&) = delete;
    semaphore_core& operator=(semaphore_core const&) = delete;

    ~semaphore_core() {
        WEFT_CHECK(waiters_.empty(),
                   "a semaphore is destroyed while tasks wait for it" WEFT_END_TASKS_FIRST);
    }

    [[nodiscard]] bool try_acquire(std::size_t count) noexcept {
        // relaxed: hint — the exchange decides
        std::size_t word = word_.load(relaxed);
        while ((word & contended) == 0 && word / permit >= count) {
            // acquire: claim permits and observe what their releasers wrote; pairs with
            // release():publish. The loser (relaxed: hint) looks again.
            if (word_.compare_exchange_weak(word, word - count * permit, acquire, relaxed)) {
                return true;
            }
        }
        return false;
    }

    void release_permits(std::size_t count) noexcept {
        // relaxed: hint — the exchange decides
        std::size_t word = word_.load(relaxed);
        while ((word & contended) == 0 && count <= limit_ - word / permit) [[likely]] {
            // release: publish what the releaser wrote; pairs with try_acquire():claim. The loser
            // (relaxed: hint) looks again.
            if (word_.compare_exchange_weak(word, word + count * permit, release, relaxed)) {
                return;
            }
        }
        release_contended(count);
    }

    [[nodiscard]] std::size_t available() const noexcept {
        // relaxed: hint — stale when others acquire and release
        return word_.load(relaxed) / permit;
    }

    [[nodiscard]] std::size_t limit() const noexcept { return limit_; }

    // --- under queue_lock() -----------------------------------------------------------

    /// Acquires, or puts the waiter into the queue.
    [[nodiscard]] bool acquire_or_enlist(acquire_wait& wait) noexcept;

    /// A waiter has left the queue: those behind it may want less.
    void waiter_left(waiter_list& woken) noexcept;

    [[nodiscard]] wait_lock& queue_lock() noexcept { return lock_; }

private:
    static constexpr std::size_t contended = 1;
    static constexpr std::size_t permit = 2;

    WEFT_COLD void release_contended(std::size_t count) noexcept;
    [[nodiscard]] std::size_t grant_from(std::size_t permits, waiter_list& woken) noexcept;

    // --- constant after construction -------------------------------------------
    std::size_t limit_;

    // --- any thread, atomic (see Protocol) ---------------------------------------
    /// Written by whoever acquires and releases.
    atomic<std::size_t> word_;

    // --- any thread, under lock_ ---------------------------------------------------
    wait_lock lock_;
    waiter_list waiters_;
};

/// For wait_operation: see there.
struct acquire_request {
    using wait_type = acquire_wait;
    static constexpr bool can_be_branch = true;

    acquire_request(semaphore_core& wanted, std::size_t permits) : target(&wanted), count(permits) {
        check_argument(permits <= wanted.limit(),
                       "a semaphore is asked for more permits than it can ever have");
    }

    [[nodiscard]] bool try_now() const noexcept { return target->try_acquire(count); }

    void take() const noexcept {}

    void give_back() const noexcept { target->release_permits(count); }

    semaphore_core* target;
    std::size_t count;
};

struct acquire_wait : waiter {
    explicit acquire_wait(acquire_request const& request) noexcept;

    semaphore_core* target;
    std::size_t count;
};

struct scoped_acquire_request;

}  // namespace detail

/// Holds permits of a semaphore and releases them when destroyed: what
/// `co_await s.scoped_acquire(n)` yields.
///
/// Thread safety: as for a plain value; may be destroyed on another thread than it was made on.
/// Cancellation: never suspends. The unwinding of a stopped task releases.
/// Lifetime: the semaphore must outlive it.
/// Complexity: O(1).
/// Errors: none.
class [[nodiscard]] semaphore_permit {
public:
    /// Holds nothing.
    semaphore_permit() noexcept = default;

    semaphore_permit(semaphore_permit&& other) noexcept
        : source_(std::exchange(other.source_, nullptr))
        , count_(std::exchange(other.count_, 0)) {}

    semaphore_permit& operator=(semaphore_permit&& other) noexcept {
        semaphore_permit(std::move(other)).swap(*this);
        return *this;
    }

    ~semaphore_permit() { release(); }

    void swap(semaphore_permit& other) noexcept {
        std::swap(source_, other.source_);
        std::swap(count_, other.count_);
    }

    /// Whether it holds permits.
    [[nodiscard]] explicit operator bool() const noexcept { return source_ != nullptr; }

    /// How many.
    [[nodiscard]] std::size_t count() const noexcept { return count_; }

    /// Releases now what it holds.
    void release() noexcept {
        std::size_t const count = std::exchange(count_, 0);
        if (auto* const source = std::exchange(source_, nullptr); source != nullptr) {
            source->release_permits(count);
        }
    }

private:
    friend class semaphore;
    friend struct detail::scoped_acquire_request;

    semaphore_permit(detail::semaphore_core& source, std::size_t count) noexcept
        : source_(&source)
        , count_(count) {}

    detail::semaphore_core* source_ = nullptr;
    std::size_t count_ = 0;
};

namespace detail {

struct scoped_acquire_request : acquire_request {
    using acquire_request::acquire_request;

    [[nodiscard]] semaphore_permit take() const noexcept {
        return semaphore_permit(*target, count);
    }
};

}  // namespace detail

/// Counts permits; tasks wait until there are as many as they want.
///
/// Fair: permits go to tasks in the order in which they began to wait. One that wants many is not
/// overtaken by others that want fewer.
///
/// Thread safety: every member may be called from any thread at the same time, except the
///     destructor.
/// Cancellation: a stop takes a waiting task out of the queue; it has acquired nothing. Success
///     wins: a task that was given its permits goes on with them, and a stopped task acquires what
///     is free.
/// Lifetime: must outlive every operation on it. The last task that is let in may destroy it even
///     if the release() that let it in has not returned.
/// Resumption: through the waiting task's scheduler, never inside release().
/// Complexity: O(1), and O(1) for each task that is let in; no allocation; one atomic operation
///     while nobody waits.
/// Errors: std::invalid_argument, thrown by `acquire` itself, when more permits are asked for than
///     the limit allows. Aborts when more are released, when it is destroyed while tasks wait, and
///     when a task that no runtime runs would have to wait.
/// Example: examples/shared_state.cpp
class semaphore {
public:
    using permit = semaphore_permit;
    using acquire_operation = detail::wait_operation<detail::acquire_request>;
    using scoped_acquire_operation = detail::wait_operation<detail::scoped_acquire_request>;

    /// The largest limit.
    static constexpr std::size_t permits_max = detail::semaphore_core::permits_max;

    /// Begins with `permits` free ones; there are never more than `limit`. Throws
    /// std::invalid_argument when it would begin with more, or when the limit is above permits_max.
    explicit semaphore(std::size_t permits, std::size_t limit = permits_max)
        : core_(permits, limit) {}

    /// `co_await s.acquire(n)` takes n permits; release(n) gives them back.
    [[nodiscard]] acquire_operation acquire(std::size_t count = 1) {
        return acquire_operation(detail::acquire_request(core_, count));
    }

    /// `auto permit = co_await s.scoped_acquire(n)` has n permits until `permit` is destroyed.
    [[nodiscard]] scoped_acquire_operation scoped_acquire(std::size_t count = 1) {
        return scoped_acquire_operation(detail::scoped_acquire_request(core_, count));
    }

    /// Acquires if that needs no waiting; outside of tasks, too.
    [[nodiscard]] bool try_acquire(std::size_t count = 1) noexcept {
        return core_.try_acquire(count);
    }

    /// The same, with something that holds the permits, or nothing.
    [[nodiscard]] permit try_scoped_acquire(std::size_t count = 1) noexcept {
        return core_.try_acquire(count) ? permit(core_, count) : permit();
    }

    /// Makes permits free and lets waiting tasks in that they are enough for.
    void release(std::size_t count = 1) noexcept { core_.release_permits(count); }

    /// Permits that are free; stale at once when others acquire and release.
    [[nodiscard]] std::size_t available() const noexcept { return core_.available(); }

    [[nodiscard]] std::size_t limit() const noexcept { return core_.limit(); }

private:
    detail::semaphore_core core_;
};

}  // namespace weft
