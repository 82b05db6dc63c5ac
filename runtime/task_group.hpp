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
///
/// Protocol of a child. It has a record (child_record) with a stop state of its own and a cell in
/// which it meets its join_handle (core/join_cell.hpp). Most handles are dropped at once, so a
/// child that yields nothing and has no name stands in its first queue marked as stopped: then its
/// completion, the record, is asked before it starts.
///   handle dropped, no stop requested through it: the record is freed. The child follows a stop
///       state of the group and reports to the group itself: it costs its frame.
///   else: the child keeps its record.
/// I4 The record is freed by whoever gives the last share: the child, or the list of errors in its
///    place; and the handle. It refers to the group until the child's end only.
/// I5 What a child leaves is visible in this order: its frame is destroyed, its stop state is gone
///    from the group's, its handle's waiter is told, its siblings are stopped if it failed.

#include <weft/runtime/base/mutex.hpp>
#include <weft/runtime/core/join_cell.hpp>
#include <weft/runtime/scheduler.hpp>
#include <weft/runtime/task.hpp>

#include <cstddef>
#include <exception>
#include <new>
#include <source_location>
#include <string_view>
#include <type_traits>
#include <utility>

namespace weft::detail {

class child_record;
class error_list;
class task_group;
class thread_event;

/// What a group does with the error of a child.
enum class on_error : std::uint8_t {
    stop_siblings,  ///< keep it, and stop the others
    keep_going,     ///< keep it, unless a join_handle hands it out
    report,         ///< tell the error hook, unless a join_handle hands it out
};

using error_function = void (*)(std::exception_ptr const&) noexcept;

/// What is kept of one child for its handle, or for its name. The base of child_of<T>.
class child_record : public completion {
public:
    child_record(child_record const&) = delete;
    child_record& operator=(child_record const&) = delete;

    static void* operator new(std::size_t size) { return frame_pool::allocate(size); }

    static void operator delete(void* block, std::size_t size) noexcept {
        frame_pool::deallocate(block, size);
    }

    static void* operator new(std::size_t size, std::align_val_t alignment) {
        return frame_pool::allocate(size, static_cast<std::size_t>(alignment));
    }

    static void operator delete(void* block,
                                std::size_t size,
                                std::align_val_t alignment) noexcept {
        frame_pool::deallocate(block, size, static_cast<std::size_t>(alignment));
    }

    // --- holder of a share of the record ---------------------------------------------

    [[nodiscard]] join_cell& cell() noexcept { return cell_; }

    /// The child's name, or an empty string.
    [[nodiscard]] char const* name() const noexcept { return name_ != nullptr ? name_ : ""; }

    /// After the end.
    [[nodiscard]] outcome ended_as() const noexcept { return outcome_; }

    /// After an end with an error.
    [[nodiscard]] std::exception_ptr const& error() const noexcept { return kept_.error; }

    /// Any thread. False when the child has ended, or was asked before.
    bool request_stop(stop_reason const& reason) noexcept;

    /// The handle's owner, once.
    void drop_handle() noexcept {
        if (cell_.drop_handle()) [[unlikely]] {
            bury();
        }
    }

protected:
    using free_function = void (*)(child_record&) noexcept;

    child_record(function ended, free_function free, task_group& group) noexcept;

    /// Of a child that has ended, or will never start.
    child_record(free_function free, outcome how) noexcept;

    ~child_record() = default;

    /// Child, after its value is in the record. The last access to record, frame and group; gives
    /// what runs next.
    [[nodiscard]] std::coroutine_handle<> end(promise_base& finished,
                                              outcome how,
                                              std::exception_ptr error) noexcept;

    /// Child, at its end. False when nobody will ask for the value.
    [[nodiscard]] bool is_wanted() const noexcept { return cell_.has_handle(); }

private:
    friend class task_group;

    static std::coroutine_handle<> starting(completion& base, promise_base& promise) noexcept;
    /// A record that has no handle; null without memory.
    static child_record* of_error(std::exception_ptr const& error) noexcept;
    void tell_waiter() noexcept;
    void drop_child() noexcept;

    /// After the last share was given: an error that nobody saw is reported. Frees the record.
    WEFT_COLD void bury() noexcept;
    void dispose() noexcept;

    union kept {
        kept() noexcept {}

        ~kept() {}

        stop_context context;      // until the end
        std::exception_ptr error;  // after an end with an error
    };

    union surroundings {
        task_group* group;      // until the end
        child_record* next;     // while in the list of errors, which holds the child's share
        error_function report;  // otherwise: hears of an error that nobody took, or null
    };

    // --- constant after construction -------------------------------------------
    free_function free_;
    char* name_ = nullptr;  // on the heap

    // --- any thread (its own protocol) -----------------------------------------------
    join_cell cell_;

    // --- child, until its end; then constant, or of the list of errors ------------------
    outcome outcome_ = outcome::pending;
    surroundings around_;
    kept kept_;
};

/// The record of a child that yields a `T`.
template <class T>
class child_of final : public child_record {
    using stored = std::conditional_t<std::is_void_v<T>,
                                      std::byte,
                                      std::conditional_t<std::is_reference_v<T>,
                                                         std::remove_reference_t<T>*,
                                                         std::remove_cv_t<T>>>;

public:
    explicit child_of(task_group& group) noexcept : child_record(&ended, &free_record, group) {}

    /// Of a child that has ended, or will never start; both shares are given yet.
    explicit child_of(outcome how) noexcept : child_record(&free_record, how) {}

    ~child_of() {
        if (has_value_) {
            value_.~stored();
        }
    }

    /// Requires: ended with a value.
    [[nodiscard]] std::add_lvalue_reference_t<T> value() noexcept
        requires(!std::is_void_v<T>)
    {
        WEFT_ASSERT(has_value_, "the value of an unfinished child is taken");
        if constexpr (std::is_reference_v<T>) {
            return *value_;
        } else {
            return value_;
        }
    }

    static std::coroutine_handle<> ended(completion& base, promise_base& finished) noexcept {
        auto& self = static_cast<child_of&>(static_cast<child_record&>(base));
        auto& promise = static_cast<task_promise<T>&>(finished);
        outcome how = promise.outcome_;
        std::exception_ptr error = promise.error();
        if constexpr (!std::is_void_v<T>) {
            if (how == outcome::value && self.is_wanted()) {
                try {
                    self.keep_value(promise);
                } catch (...) {
                    how = outcome::error;
                    error = std::current_exception();
                }
            }
        }
        return self.end(finished, how, std::move(error));
    }

private:
    void keep_value(task_promise<T>& promise) {
        if constexpr (std::is_reference_v<T>) {
            T&& reference = promise.take_value();
            ::new (static_cast<void*>(&value_)) stored(__builtin_addressof(reference));
        } else {
            ::new (static_cast<void*>(&value_)) stored(promise.take_value());
        }
        has_value_ = true;
    }

    static void free_record(child_record& base) noexcept { delete static_cast<child_of*>(&base); }

    bool has_value_ = false;

    union {
        stored value_;
    };
};

class task_group : private completion {
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
        auto* const record = new child_of<T>(*this);
        if (!name.empty()) [[unlikely]] {
            give_name(*record, name);
        }
        start(*record, task_access::release(child).promise(), std::is_void_v<T> && name.empty());
        return *record;
    }

    // --- any thread ----------------------------------------------------------------

    /// Softly first, for those who listen to that, and at once for good.
    bool request_stop(stop_reason const& reason) noexcept;

    [[nodiscard]] stop_state& stop() noexcept { return context_.own_stop; }

    [[nodiscard]] context const& inherited() const noexcept { return context_; }

    /// Exact when nobody starts or ends.
    [[nodiscard]] std::size_t children() const noexcept;

    // --- owner ---------------------------------------------------------------------

    /// Once. False when there is nothing to wait for; else `joiner` hears of `owner` when the last
    /// child has ended, on that child's thread.
    [[nodiscard]] bool join(completion& joiner, promise_base& owner) noexcept;

    /// Foreign thread, once.
    void join_blocking() noexcept;

    /// After the join: a child was stopped.
    [[nodiscard]] bool was_child_stopped() const noexcept {
        // relaxed: observe — ordered by the count of the join (I2)
        return child_stopped_.load(relaxed);
    }

    /// After the join: errors are kept.
    [[nodiscard]] bool has_errors() const noexcept {
        return first_failed_ != nullptr || unlisted_error_ != nullptr;
    }

    /// After the join, once: the errors of the children, in the order in which they failed.
    /// Throws std::bad_alloc.
    void take_errors(error_list& all);

    /// Set before the first spawn: hears of every child's error, on the child's worker.
    error_function error_hook = nullptr;

private:
    friend class child_record;

    /// Stop states that plain children share.
    struct lane;

    static constexpr std::size_t joiner_share = 1;
    static constexpr std::size_t child_share = 2;
    static constexpr std::size_t few_children = 64;

    static std::coroutine_handle<> plain_child_ended(completion& base,
                                                     promise_base& promise) noexcept;
    static void give_name(child_record& record, std::string_view name);
    void start(child_record& record, promise_base& promise, bool may_shed_record) noexcept;
    [[nodiscard]] context const& shared_context(promise_base const& child) noexcept;
    [[nodiscard]] WEFT_COLD lane* make_lanes() noexcept;
    WEFT_COLD void fail(child_record& record) noexcept;
    WEFT_COLD void fail_plain(std::exception_ptr error) noexcept;
    WEFT_COLD void list(child_record& record) noexcept;
    void note_stopped() noexcept;
    [[nodiscard]] std::coroutine_handle<> arrive() noexcept;

    // --- constant after construction -------------------------------------------
    stop_context context_;
    on_error policy_;
    ambient surroundings_;

    // --- any thread (its own protocol) -----------------------------------------------
    stop_state soft_stop_;

    // --- any thread, atomic (see Protocol) ---------------------------------------
    /// Written by start(), by ending children and by the joiner.
    atomic<std::size_t> pending_{joiner_share};
    /// Written by children that were stopped, read after the join.
    atomic<bool> child_stopped_{false};
    /// Written once under mutex_, read by starting children.
    atomic<lane*> lanes_{nullptr};

    // --- joiner, before it gives its share; read by whoever reaches 0 -----------------
    completion* joiner_ = nullptr;
    promise_base* owner_ = nullptr;
    thread_event* joining_thread_ = nullptr;

    // --- any thread, under mutex_; after the join, the owner --------------------------
    mutex mutex_;
    child_record* first_failed_ = nullptr;
    child_record* last_failed_ = nullptr;
    std::exception_ptr unlisted_error_;  // there was no memory to list it
};

}  // namespace weft::detail
