#pragma once

/// Children that end before their owner goes on: what a scope and a runtime are made of.
///
/// Protocol of joining. `pending_` is twice the number of children, plus 1: the joiner's share.
///   spawn:      pending_ + 2, child scheduled (the joiner's share is held, or by a child)
///   child ends: its outcome and its error are recorded, its frame is destroyed, its handle's
///               waiter is told, then pending_ - 2
///   join:       joiner_ = who waits; pending_ - 1
///   Whoever brings pending_ to 0 tells joiner_.
/// I1 The decrement is a child's last access to the group, unless it reached 0: then the joiner has
///    given its share and is suspended until this very thread resumes it, so the group is still
///    alive.
/// I2 Errors are recorded before the decrement (release) and read after the join (acquire).
/// I3 pending_ does not leave 0: whoever comes later finds the group closed.
/// I4 The soft half of a stop without grace comes after the hard one has reached everybody below:
///    who hears the soft one first may tell that there is time left.
/// I5 A thread that requests a stop may find that the children end before it is through. For that
///    of a stop for good the destructor waits (stop_token I5). One that gives a grace puts the
///    period of grace in its place, asks softly, and starts it: until then the joiner does not go
///    on.
/// A thread that uses the group without a child of its own counts as one: count_child(), leave().
/// A period of grace, between the soft and the hard stop, is a coroutine that is not counted. Who
/// reaches 0 stops it; the later of the two, the last child and its end, tells joiner_.

#include <weft/runtime/base/mutex.hpp>
#include <weft/runtime/base/time_span.hpp>
#include <weft/runtime/sched/scheduler.hpp>
#include <weft/runtime/scope/detail/child_record.hpp>
#include <weft/runtime/task/task.hpp>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <string_view>
#include <type_traits>
#include <utility>

namespace weft::detail {

class error_list;
class thread_event;

/// What a group does with the error of a child.
enum class on_error : std::uint8_t {
    stop_siblings,  ///< keep it, and stop the others
    keep_going,     ///< keep it, unless a join_handle hands it out
    report,         ///< tell the listener, unless a join_handle hands it out
};

class task_group : private end_hook {
public:
    /// The outermost group of a scheduler.
    task_group(scheduler* home, on_error policy) noexcept;

    /// Of a coroutine in these surroundings. Without a scheduler nothing can be started.
    task_group(context const& surroundings, on_error policy) noexcept;

    task_group(task_group const&) = delete;
    task_group& operator=(task_group const&) = delete;
    ~task_group();

    /// Owner before the join, or a child. Takes the task over and makes it ready; gives its record,
    /// with a share for the handle.
    template <class T>
    [[nodiscard]] child_of<T>& spawn(task<T> child, std::string_view name = {}) {
        WEFT_CHECK(static_cast<bool>(child),
                   "an empty task is spawned: a task can be spawned once");
        auto* const record = new child_of<T>(*this, context_);
        if (!name.empty()) [[unlikely]] {
            give_name(*record, name);
        }
        count_spawn();
        start_counted(
            *record, task_access::release(child).promise(), std::is_void_v<T> && name.empty());
        return *record;
    }

    /// The same for a child that nobody will ask for: it has no record.
    void start_plain(task<> child) noexcept {
        WEFT_CHECK(static_cast<bool>(child),
                   "an empty task is spawned: a task can be spawned once");
        start_plain(task_access::release(child).promise());
    }

    // --- any thread ----------------------------------------------------------------

    /// For good, and softly after that, for those who listen to nothing else.
    bool request_stop(stop_reason const& reason) noexcept;

    /// Softly now, and for good when `grace` is over and children are left. True for the first to
    /// give a grace, before anybody asked for good: it is the one that counts.
    bool request_stop(stop_reason const& reason, time_span grace) noexcept;

    [[nodiscard]] stop_state& stop() noexcept { return context_.own_stop; }

    [[nodiscard]] stop_state& soft_stop() noexcept { return soft_stop_; }

    /// Any thread that knows the group to be alive: counts a child that start_counted() follows
    /// for. False when the group has ended.
    [[nodiscard]] bool count_child() noexcept;

    /// Any thread, after count_child(). Takes the task over.
    template <class T>
    void start_counted(child_of<T>& record, task<T> child, bool is_named) noexcept {
        record.attach(*this, context_);
        start_counted(
            record, task_access::release(child).promise(), std::is_void_v<T> && !is_named);
    }

    /// Foreign thread, after count_child(), where no child follows: what was counted has ended.
    /// Requires: the group is joined by a thread.
    void leave() noexcept { (void)arrive(); }

    [[nodiscard]] context const& inherited() const noexcept { return context_; }

    /// Exact when nobody starts or ends.
    [[nodiscard]] std::size_t children() const noexcept;

    // --- owner ---------------------------------------------------------------------

    /// Once. False when there is nothing to wait for; else `joiner` hears of `owner` when the last
    /// child has ended, on that child's thread.
    [[nodiscard]] bool join(end_hook& joiner, promise_base& owner) noexcept;

    /// Foreign thread, once.
    void join_blocking() noexcept;

    /// After the join: a child was stopped.
    [[nodiscard]] bool was_child_stopped() const noexcept {
        // relaxed: observe — ordered by the count of the join (I2)
        return child_stopped_.load(relaxed);
    }

    /// After the join: take_errors() has something to give.
    [[nodiscard]] bool has_errors() const noexcept;

    /// After the join, before take_errors(): one more.
    void add_error(std::exception_ptr error) noexcept;

    /// After the join, once: the errors of the children, in the order in which they failed.
    /// Throws std::bad_alloc.
    void take_errors(error_list& all);

    /// Set before the first spawn: hears of the error of a child that nobody joins. Null: stderr.
    error_listener* listener = nullptr;

private:
    friend class child_record;

    /// Stop states that plain children share.
    struct stop_shard;
    /// The time between the soft stop and the other.
    struct grace_period;

    static constexpr std::size_t joiner_share = 1;
    static constexpr std::size_t child_share = 2;
#if defined(WEFT_ATOMICS_REPLACED)
    static constexpr std::size_t few_children = 2;
#else
    static constexpr std::size_t few_children = 64;
#endif

    static std::coroutine_handle<> plain_child_ended(end_hook& base,
                                                     promise_base& promise) noexcept;
    static void give_name(child_record& record, std::string_view name);
    void start_counted(child_record& record, promise_base& promise, bool may_shed_record) noexcept;
    void start_plain(promise_base& promise) noexcept;
    void count_spawn() noexcept;

    /// What a child without a record follows.
    [[nodiscard]] context const& shared_context() noexcept {
        return has_peers_ ? choose_context() : context_;
    }

    [[nodiscard]] context const& choose_context() noexcept;
    [[nodiscard]] WEFT_COLD stop_shard* make_shards() noexcept;
    WEFT_COLD void fail(child_record& record) noexcept;
    WEFT_COLD void fail_plain(std::exception_ptr error) noexcept;
    WEFT_COLD void list(child_record& record) noexcept;
    void note_stopped() noexcept;
    [[nodiscard]] std::coroutine_handle<> arrive() noexcept;
    [[nodiscard]] std::coroutine_handle<> tell_joiner() noexcept;
    [[nodiscard]] bool end_grace() noexcept;
    [[nodiscard]] static grace_period* over_mark() noexcept;

    // --- constant after construction -------------------------------------------
    stop_context context_;
    on_error policy_;
    bool has_peers_;  // there are workers to meet in one lock
    ambient_state ambient_;

    // --- any thread (its own protocol) -----------------------------------------------
    stop_state soft_stop_;

    // --- any thread, atomic (see Protocol) ---------------------------------------
    /// Written by spawn(), by ending children and by the joiner.
    atomic<std::size_t> pending_{joiner_share};
    /// Written by children that were stopped, read after the join.
    atomic<bool> child_stopped_{false};
    /// Written once under mutex_, read by starting children.
    atomic<stop_shard*> shards_{nullptr};
    /// Written once, by the first to ask softly; read by whoever reaches 0.
    atomic<grace_period*> grace_{nullptr};

    // --- joiner, before it gives its share; read by whoever reaches 0 -----------------
    end_hook* joiner_ = nullptr;
    promise_base* owner_ = nullptr;
    thread_event* joining_thread_ = nullptr;

    // --- any thread, under mutex_; after the join, the owner --------------------------
    mutex mutex_;
    child_record* first_failed_ = nullptr;
    child_record* last_failed_ = nullptr;
    std::exception_ptr unlisted_error_;  // there was no memory to list it
};

}  // namespace weft::detail
