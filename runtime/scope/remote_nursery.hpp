#pragma once

#include <weft/runtime/base/mutex.hpp>
#include <weft/runtime/scope/join_handle.hpp>
#include <weft/runtime/task/call.hpp>

#include <cstddef>
#include <source_location>
#include <utility>

namespace weft {

namespace detail {

/// What the remote nurseries of one scope share with it.
///
/// Protocol. The scope closes the gate after its last child has ended and before it is destroyed.
/// A spawn counts its child under the lock, where the group is known to be alive; from then on the
/// child keeps it so (task_group I3). Closing waits for stop requests that are on their way through
/// the group, for the last few instructions of each: a callback that runs belongs to a frame below
/// the scope, and keeps that frame, and so the scope, from its end (stop_token I2).
class remote_gate {
public:
    explicit remote_gate(task_group& group) noexcept : group_(&group) {}

    remote_gate(remote_gate const&) = delete;
    remote_gate& operator=(remote_gate const&) = delete;

    void share() noexcept;
    void drop() noexcept;

    /// Any thread. The group with one more child, or null when it has ended.
    [[nodiscard]] task_group* count_child() noexcept;

    /// Any thread. False when the group has ended.
    bool request_stop(stop_reason const& reason) noexcept;

    /// The scope, once.
    void close() noexcept;

    [[nodiscard]] bool is_open() noexcept;
    [[nodiscard]] std::size_t refused() const noexcept;

private:
    ~remote_gate() = default;

    // --- any thread, atomic ------------------------------------------------------
    /// Written by whoever holds a share.
    atomic<std::size_t> owners_{1};
    /// Written by spawns that come too late.
    atomic<std::size_t> refused_{0};

    // --- any thread, under mutex_ ------------------------------------------------
    mutex mutex_;
    condition no_requester_;
    unsigned requesters_ = 0;
    task_group* group_;
};

}  // namespace detail

/// A nursery for other threads: it may be kept, copied and used for as long as one likes, also when
/// the scope has ended. Made by `nursery::remote`.
///
/// Thread safety: every member may be called from any thread at the same time; one object belongs
///     to one thread at a time, so give each its copy.
/// Cancellation: never suspends.
/// Lifetime: owns nothing of the scope and does not keep it open. The stop callbacks in the scope's
///     tasks run in the thread that called request_stop(); a worker that destroys such a task waits
///     for its callback meanwhile.
/// Resumption: children start on the pool.
/// Complexity: a spawn takes a lock and allocates one record.
/// Errors: std::bad_alloc; then the task is destroyed. A task that comes when the scope has ended
///     is not started: it is destroyed, its handle says that it was stopped, and refused() counts
///     it.
/// Example: examples/graceful_shutdown.cpp
class remote_nursery {
public:
    remote_nursery(remote_nursery const& other) noexcept : gate_(other.gate_) { gate_->share(); }

    remote_nursery& operator=(remote_nursery const& other) noexcept {
        remote_nursery copy(other);
        std::swap(gate_, copy.gate_);
        return *this;
    }

    ~remote_nursery() { gate_->drop(); }

    /// The handle may be dropped.
    template <detail::plain_value T>
    join_handle<T> spawn(task<T> child) {
        return detail::handle_access::start_if_counted(
            std::move(child), {}, [this] { return gate_->count_child(); });
    }

    /// The same for a callable and its arguments; see nursery::spawn.
    template <class Function, class... Arguments>
    auto spawn(Function function, Arguments... arguments) {
        return spawn(detail::as_owned_task(std::move(function), std::move(arguments)...));
    }

    /// With a name; see nursery::spawn.
    template <detail::plain_value T>
    join_handle<T> spawn(named name, task<T> child) {
        return detail::handle_access::start_if_counted(
            std::move(child), name.name(), [this] { return gate_->count_child(); });
    }

    template <class Function, class... Arguments>
    auto spawn(named name, Function function, Arguments... arguments) {
        return spawn(name, detail::as_owned_task(std::move(function), std::move(arguments)...));
    }

    /// Stops the scope as nursery::request_stop does; false when it was asked before, or has ended.
    bool request_stop(stop_reason const& reason) noexcept { return gate_->request_stop(reason); }

    bool request_stop(std::source_location at = std::source_location::current()) noexcept {
        return request_stop(stop_reason(stop_kind::requested, at));
    }

    /// False when the scope has ended.
    [[nodiscard]] bool is_open() const noexcept { return gate_->is_open(); }

    /// How many tasks came too late, from all remote nurseries of this scope.
    [[nodiscard]] std::size_t refused() const noexcept { return gate_->refused(); }

private:
    friend class nursery;

    /// Takes a share over.
    explicit remote_nursery(detail::remote_gate& gate) noexcept : gate_(&gate) {}

    detail::remote_gate* gate_;
};

}  // namespace weft
