#pragma once

/// What is kept of one child of a group while somebody may ask for it.
///
/// Protocol of a child. It has a record (child_record) with a stop state of its own and a cell in
/// which it meets its join_handle (core/handle_cell.hpp). Most handles are dropped at once. So a
/// child that yields nothing and has no name is queued to be notified (wake_as): before its
/// first resume the worker calls starting(), which looks whether the record is needed.
///   handle dropped, no stop requested through it: the record is freed. The child follows a stop
///       state of the group and reports to the group itself: it costs its frame.
///   else: the child keeps its record.
/// I1 The record is freed by whoever gives the last share: the child, or the list of errors in its
///    place; and the handle. It refers to the group until the child's end only.
/// I2 What a child leaves is visible in this order: its frame is destroyed, its stop state is gone
///    from the group's, its handle's waiter is told, its siblings are stopped if it failed.

#include <weft/runtime/core/handle_cell.hpp>
#include <weft/runtime/task/task.hpp>
#include <weft/runtime/values/error_hook.hpp>
#include <weft/runtime/values/outcome_slot.hpp>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <new>
#include <string_view>
#include <type_traits>
#include <utility>

namespace weft::detail {

class task_group;

/// A name on the heap, made before the record that takes it; null when it is empty.
class name_copy {
public:
    explicit name_copy(std::string_view name);
    name_copy(name_copy const&) = delete;
    name_copy& operator=(name_copy const&) = delete;

    ~name_copy() { delete[] text_; }

private:
    friend class child_record;

    char* text_;
};

/// What is kept of one child for its handle, or for its name. The base of child_of<T>.
class child_record : public end_hook {
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

    [[nodiscard]] handle_cell& cell() noexcept { return cell_; }

    /// The child's name, or an empty string.
    [[nodiscard]] char const* name() const noexcept { return name_ != nullptr ? name_ : ""; }

    /// After the end.
    [[nodiscard]] outcome ended_as() const noexcept { return outcome_; }

    /// After an end with an error.
    [[nodiscard]] std::exception_ptr const& error() const noexcept { return kept_.error; }

    /// Any thread. False when the child has ended, or was asked before.
    bool request_stop(stop_reason const& reason) noexcept;

    /// Nobody else knows the record yet.
    void take_name(name_copy& text) noexcept { name_ = std::exchange(text.text_, nullptr); }

    /// Nobody else knows the record yet: the child has a group now.
    void attach(task_group& group, context const& surroundings) noexcept;

    /// Nobody else knows the record yet: the child will never start. It counts as stopped.
    void refuse() noexcept;

    /// The handle's owner, once.
    void drop_handle() noexcept {
        if (cell_.drop_handle()) [[unlikely]] {
            bury();
        }
    }

protected:
    using free_function = void (*)(child_record&) noexcept;

    child_record(function ended,
                 free_function free,
                 task_group& group,
                 context const& surroundings) noexcept
        : end_hook(ended)
        , free_(free)
        , around_{&group} {
        ::new (static_cast<void*>(&kept_.context)) stop_context(surroundings);
    }

    /// Of a child that has ended.
    child_record(free_function free, outcome how) noexcept;

    /// Of a child that has no group yet.
    child_record(function ended, free_function free) noexcept
        : end_hook(ended)
        , free_(free)
        , around_{nullptr} {}

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

    static std::coroutine_handle<> starting(end_hook& base, promise_base& promise) noexcept;
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

    union before_and_after {
        task_group* group;         // until the end
        child_record* next;        // while in the list of errors, which holds the child's share
        error_listener* listener;  // where the error is reported, a share of the listener, or null
    };

    // --- constant after construction -------------------------------------------
    free_function free_;
    char* name_ = nullptr;  // on the heap

    // --- any thread (its own protocol) -----------------------------------------------
    handle_cell cell_;

    // --- child, until its end; then constant, or of the list of errors ------------------
    outcome outcome_ = outcome::pending;
    bool is_reported_ = false;  // an error that nobody takes is told to around_.listener
    before_and_after around_;
    kept kept_;
};

/// The record of a child that yields a `T`.
template <class T>
class child_of final : public child_record {
public:
    child_of(task_group& group, context const& surroundings) noexcept
        : child_record(&ended, &free_record, group, surroundings) {}

    /// Of a child that has ended; both shares are there.
    explicit child_of(outcome how) noexcept : child_record(&free_record, how) {}

    /// Of a child for which attach() or refuse() follows.
    child_of() noexcept : child_record(&ended, &free_record) {}

    ~child_of() {
        if (has_value_) {
            value_.end();
        }
    }

    /// Requires: ended with a value.
    [[nodiscard]] std::add_lvalue_reference_t<T> value() noexcept
        requires(!std::is_void_v<T>)
    {
        WEFT_ASSERT(has_value_, "the value of an unfinished child is taken");
        return value_.value();
    }

    static std::coroutine_handle<> ended(end_hook& base, promise_base& finished) noexcept {
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
        value_.put(promise);
        has_value_ = true;
    }

    static void free_record(child_record& base) noexcept { delete static_cast<child_of*>(&base); }

    bool has_value_ = false;
    outcome_slot<T> value_;
};

}  // namespace weft::detail
