#pragma once

/// The join of N children that the awaiting coroutine starts together.
///
/// Protocol. The awaiting coroutine, the parent, is suspended while run() is at work. run() *nests*
/// child 0: runs it by a call. If thieves lack forks the join is *open*: children N-1 … 1 stand on
/// the worker's fork deque meanwhile. Otherwise nobody else knows of them yet.
///   a child ends, in whatever way: the join gets its value or its error, and its frame is
///       destroyed, on the thread where it ended.
///   a nested child ends with its value: it returns after that. The next child is nested; in an
///       open join only if it is still the youngest fork of this worker, which claims it. After the
///       last one the parent goes on as if it had never waited.
///   otherwise (the child waits or has failed, or the next one is gone): a join that was not open
///       offers the children that are left. The parent gives its share: state_ -= 1 + children
///       nested; its call returns to whoever nested the parent, which finds it suspended and does
///       the same, down to the worker's loop.
///   any other child ends: state_ -= 1, after its frame. Who brings it to 0 resumes the parent.
///   Too deep a stack: the parent offers all its children and gives its share: the whole stack
///       goes down. Too long without a look at I/O: the same, but a stopped parent ends them unrun.
/// I1 While nothing is stolen and nothing waits, there is no atomic read-modify-write, no lock, and
///    no allocation besides the children's frames.
/// I2 A child on the deque is claimed exactly once: by the deque's pop or by its steal.
/// I3 The subtraction is a party's last access to the join unless it reached 0. Results are written
///    before it (release) and read after it (acquire). Until the parent has given its share, nobody
///    else resumes it. A child that others may run may be gone at any time: only its address may be
///    used.
/// I4 A failing child stops its siblings through the join's own stop state; all children are always
///    awaited. Its frame is gone before.
/// I5 `nested_child` names a child exactly while the call that nests it is on this thread's stack
///    and it has not ended; so a child that finds itself there ends by returning. A call below it
///    restores what it found.
/// I6 The join's context is made when it is first asked for, by whoever asks: most children need
///    none. Only children ask, before they end, or who acts for them. What is in a child's frame
///    may refer to it: the frames are destroyed while the join waits.
/// I7 Of several errors the join keeps that of the child with the lowest number. Whoever holds
///    error_lock_bit writes error_ and error_index_; the parent reads them after the join.

#include <weft/runtime/coro/promise.hpp>
#include <weft/runtime/sched/worker.hpp>

#include <cstddef>
#include <cstdint>
#include <exception>

namespace weft::detail {

/// How far nested calls may take the stack of this thread.
WEFT_STATIC_TLS extern constinit thread_local std::uintptr_t nesting_floor;

/// The address of what lies in a coroutine's frame, found where it is asked for. Clang otherwise
/// finds it when the coroutine is resumed and keeps a register for it, which rare uses do not earn.
template <class T>
[[nodiscard]] WEFT_ALWAYS_INLINE T* late_address(T& object) noexcept {
#if defined(__clang__) && defined(__x86_64__)
    T* address;
    asm("leaq %1, %0" : "=r"(address) : "m"(object));
    return address;
#else
    return &object;
#endif
}

/// What few joins need. It stands in front of what all of them do, which is thus next to what the
/// compiler keeps behind it in the parent's frame.
class rare_fork_join {
protected:
    rare_fork_join() noexcept {}

    ~rare_fork_join() = default;

    union lazy_error {
        lazy_error() noexcept {}

        ~lazy_error() {}

        std::exception_ptr value;
    };

    union lazy_context {
        lazy_context() noexcept {}

        ~lazy_context() {}

        fork_join* below;  // while it is being made: whose context waits for this one
        stop_context value;
    };

    // --- whoever has set context_claimed_bit; constant from context_made_bit on -------
    lazy_context context_;

    // --- whoever has set error_lock_bit; the parent after the join (I7) ---------------
    lazy_error error_;
    std::uint32_t error_index_;  // if failed_bit is set
};

class fork_join : private rare_fork_join, public end_hook {
public:
    static constexpr std::uint64_t count_max = (std::uint64_t{1} << 28) - 2;

    /// What becomes of `child`, which has ended and knows `result_`: gives its value or its error
    /// to the join, destroys its frame, and tells how it ended for the join: `error` also when the
    /// value's move throws.
    using settle_function = outcome (*)(fork_join&, promise_base& child) noexcept;

    explicit fork_join(end_hook::function child_done) noexcept : end_hook(child_done) {}

    fork_join(fork_join const&) = delete;
    fork_join& operator=(fork_join const&) = delete;

    /// Runs the children of the coroutine at `parent`, which is suspended. False when all have
    /// ended and it shall go on at once. `Children` knows them by number:
    ///   join(), size()  the join that they belong to; how many, at least one, at most count_max
    ///   promise(i), checked(i), which aborts where there is none
    ///   result(i)   where child i's value goes; its address also identifies the child, void too
    ///   keeps(i)    whether a nested child shall leave its value to the settle_function
    ///   ended(i)    nested child i has ended with its value
    ///   relocated() a copy for an out-of-line call, its address found there: see late_address()
    ///   hides_stop  whether the parent is told, not unwound, when a stop ends the join
    template <class Children>
    [[nodiscard]] WEFT_ALWAYS_INLINE static bool run(void* parent, Children children) noexcept {
        fork_join& self = children.join();
        WEFT_ASSERT(!self.has_begun(), "a when_all is awaited twice");
        std::size_t const count = children.size();
        self.parent_ = &promise_base::at(parent);
        // relaxed: own — published with the children
        self.state_.store(begun<Children::hides_stop>(count), relaxed);
        for (std::size_t i = 0; i != count; ++i) {
            promise_base& child = children.checked(i);
            child.context_ = context_ref(*late_address(self));
            child.completion_ = &self;
        }
        worker* const here = this_threads_worker;
        auto const name = reinterpret_cast<std::uintptr_t>(parent);
        if (here == nullptr || nested_child != name || stack_position() <= nesting_floor ||
            here->wants_forks() || !here->spend_fork()) [[unlikely]] {
            return run_slow(children.relocated());
        }
        return nest_all(children, name);
    }

    /// Parent: every one of the `count` children was nested and handed its value over, and there is
    /// nothing to clean up.
    template <bool HidesStop = false>
    [[nodiscard]] WEFT_ALWAYS_INLINE bool went_smoothly(std::size_t count) const noexcept {
        // relaxed: observe — ordered by the count, or written by this thread (I3)
        return state_.load(relaxed) == begun<HidesStop>(count);
    }

    /// Parent: the join was awaited.
    [[nodiscard]] bool has_begun() const noexcept {
        // relaxed: observe — as above
        return state_.load(relaxed) != 0;
    }

    /// Parent, after the join: how many of its `count` children were nested and have ended with
    /// their value. They are the first.
    [[nodiscard]] std::size_t nested_count(std::size_t count) const noexcept {
        // relaxed: observe — as above
        std::uint64_t const state = state_.load(relaxed);
        return (state & left_bit) == 0 ? count : (state >> nested_shift) & count_mask;
    }

    /// Parent, after the join: the error, or null. Null also when a stop has ended the join.
    [[nodiscard]] std::exception_ptr error() const noexcept;

    /// Parent, after the join: nothing failed but the stop.
    [[nodiscard]] bool was_stopped() const noexcept;

    void rethrow_error() const;

    /// A child or who acts for it: child `index` failed.
    WEFT_COLD void note_error(std::size_t index, std::exception_ptr error) noexcept;

    /// Parent, when no child is left.
    WEFT_ALWAYS_INLINE void clean_up() noexcept {
        // relaxed: own — nobody else is left
        if ((state_.load(relaxed) & (context_made_bit | failed_bit)) != 0) [[unlikely]] {
            clean_up_made();
        }
    }

    [[nodiscard]] std::coroutine_handle<> end_child(promise_base& child,
                                                    settle_function settle) noexcept;

private:
    friend class context_ref;
    friend bool can_run_within() noexcept;

    static constexpr unsigned nested_shift = 28;
    static constexpr std::uint64_t count_mask = (std::uint64_t{1} << nested_shift) - 1;
    static constexpr std::uint64_t left_bit = std::uint64_t{1} << 57;
    static constexpr std::uint64_t tells_stop_bit = std::uint64_t{1} << 58;
    static constexpr std::uint64_t error_lock_bit = std::uint64_t{1} << 59;
    static constexpr std::uint64_t failed_bit = std::uint64_t{1} << 60;
    static constexpr std::uint64_t stopped_bit = std::uint64_t{1} << 61;
    static constexpr std::uint64_t context_claimed_bit = std::uint64_t{1} << 62;
    static constexpr std::uint64_t context_made_bit = std::uint64_t{1} << 63;
    static constexpr std::uintptr_t nesting_bytes = std::uintptr_t{32} * 1024;

    /// state_ when the children start.
    template <bool HidesStop>
    [[nodiscard]] static constexpr std::uint64_t begun(std::size_t count) noexcept {
        return count + 1 + (HidesStop ? tells_stop_bit : 0);
    }

    /// True when the child has ended with its value.
    template <class Children>
    [[nodiscard]] WEFT_ALWAYS_INLINE static bool nest(Children& children,
                                                      std::size_t index) noexcept {
        promise_base& child = children.promise(index);
        child.result_ = children.result(index);
        nested_child = child.frame_address() + (children.keeps(index) ? 1 : 0);
        child.handle().resume();
        if (nested_child != 0) [[unlikely]] {
            return false;
        }
        children.ended(index);
        return true;
    }

    template <class Children>
    [[nodiscard]] WEFT_ALWAYS_INLINE static bool nest_all(Children& children,
                                                          std::uintptr_t outer) noexcept {
        std::size_t const count = children.size();
        for (std::size_t done = 0; done != count; ++done) {
            if (!nest(children, done)) [[unlikely]] {
                return stop_nesting(children.relocated(), done, outer);
            }
        }
        nested_child = outer;
        return false;
    }

    /// Child `done` has not ended with its value.
    template <class Children>
    [[nodiscard]] WEFT_COLD static bool stop_nesting(Children children,
                                                     std::size_t done,
                                                     std::uintptr_t outer) noexcept {
        nested_child = outer;
        offer(children, done + 1);
        return children.join().leave(done);
    }

    /// The long way of run(): looks for what forbids nesting (no worker, no stack, the loop is due)
    /// and for thieves who lack forks.
    template <class Children>
    [[nodiscard]] WEFT_NOINLINE static bool run_slow(Children children) noexcept {
        worker* const here = this_threads_worker;
        if (here == nullptr) [[unlikely]] {
            return run_off_pool(children);
        }
        std::uintptr_t const outer = nested_child;
        bool const is_due = !here->spend_fork() && here->is_loop_due();
        if (is_due || !claim_stack_room(outer)) [[unlikely]] {
            if (is_due && children.join().is_parent_stopped()) {
                end_unstarted(children);
            } else {
                offer(children, 0);
            }
            return children.join().leave(0);
        }
        if (here->wants_forks()) {
            return run_openly(children);
        }
        return nest_all(children, outer);
    }

    /// Offers the children from `first` on to thieves, and the first of them to this worker.
    template <class Children>
    WEFT_COLD static void offer(Children children, std::size_t first) noexcept {
        std::size_t i = children.size();
        if (i == first) {
            return;
        }
        worker& here = *this_threads_worker;
        while (i-- != first) {
            promise_base& child = children.promise(i);
            child.result_ = children.result(i);
            here.push_fork(child);
        }
        here.announce_forks();
    }

    /// The parent is stopped, so its children end as stopped without running (S2 of promise.hpp).
    /// None brings the count to 0: the parent has not given its share yet.
    template <class Children>
    WEFT_COLD static void end_unstarted(Children children) noexcept {
        for (std::size_t i = children.size(); i-- != 0;) {
            promise_base& child = children.promise(i);
            child.result_ = children.result(i);
            child.outcome_ = outcome::stopped;
            (void)child.completion_->on_done(*child.completion_, child);
        }
    }

    /// Takes the child back from the fork deque. False when a thief has it.
    [[nodiscard]] static bool claim(promise_base& child) noexcept;

    /// All children but the first are for thieves too.
    template <class Children>
    [[nodiscard]] WEFT_NOINLINE static bool run_openly(Children children) noexcept {
        std::size_t const count = children.size();
        std::uintptr_t const outer = nested_child;
        offer(children, 1);
        std::size_t done = 0;
        while (nest(children, done)) {
            if (++done == count) {
                nested_child = outer;
                return false;
            }
            if (!claim(children.promise(done))) {
                break;
            }
        }
        nested_child = outer;
        return children.join().leave(done);
    }

    /// On a thread that is no worker all children start here.
    template <class Children>
    [[nodiscard]] WEFT_COLD static bool run_off_pool(Children children) noexcept {
        fork_join& self = children.join();
        self.require_no_pool();
        std::size_t const count = children.size();
        std::uintptr_t const outer = nested_child;
        std::size_t done = 0;
        if (claim_stack_room(outer)) {
            while (done != count && nest(children, done)) {
                ++done;
            }
            nested_child = names_nobody;
            for (std::size_t i = done + 1; i < count; ++i) {
                promise_base& child = children.promise(i);
                child.result_ = children.result(i);
                child.handle().resume();
            }
            if (outer == 0) {
                run_postponed();
            }
        } else {
            for (std::size_t i = count; i-- != 0;) {
                promise_base& child = children.promise(i);
                child.result_ = children.result(i);
                postpone(child);
            }
        }
        bool const waits = done != count && self.leave(done);
        if (outer == 0) {
            run_postponed();  // what leave() has left
        }
        nested_child = outer;
        return waits;
    }

    [[nodiscard]] WEFT_ALWAYS_INLINE static std::uintptr_t stack_position() noexcept {
#if defined(__x86_64__)
        std::uintptr_t position;
        asm volatile("movq %%rsp, %0" : "=r"(position));  // unlike the builtin, takes no register
        return position;
#else
        return reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
#endif
    }

    /// Whether a child may be nested here. The outermost join of a stack sets the limit for those
    /// below it.
    [[nodiscard]] WEFT_ALWAYS_INLINE static bool claim_stack_room(std::uintptr_t outer) noexcept {
        std::uintptr_t const here = stack_position();
        if (here > nesting_floor) [[likely]] {
            return true;
        }
        if (outer != 0) {
            return false;
        }
        nesting_floor = here - nesting_bytes;
        return true;
    }

    static void postpone(promise_base& child) noexcept;
    static void run_postponed() noexcept;
    WEFT_COLD void require_no_pool() const noexcept;
    [[nodiscard]] WEFT_COLD bool leave(std::size_t done) noexcept;
    WEFT_COLD void note_unhappy(outcome ended) noexcept;
    [[nodiscard]] bool passes_stop() const noexcept;
    [[nodiscard]] WEFT_COLD bool is_parent_stopped() const noexcept;
    [[nodiscard]] context const& inherited() noexcept;
    void make_context() noexcept;
    WEFT_COLD WEFT_SPARES_REGISTERS void clean_up_made() noexcept;

    // --- constant after run() began --------------------------------------------------
    promise_base* parent_;

    // --- any thread, atomic (see Protocol) ---------------------------------------
    /// Written by the parent and by ending children: how many of them are left, counting the
    /// parent's share, how many were nested, what has happened, and the states of error_ and
    /// context_. 0 before the join.
    atomic<std::uint64_t> state_{0};
};

}  // namespace weft::detail
