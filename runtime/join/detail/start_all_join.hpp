#pragma once

/// Children that all start, one parent that goes on when all of them have ended, and a way to send
/// home those whose result nobody wants any more.
///
/// Protocol. Actors: the parent, which starts the join and then waits; each child, on whatever
/// worker it ends; whoever requests a stop.
///   start:      parent stopped already? the children end unstarted :
///               remaining_ = N; children 1 … N-1 go to the ready queue, in order, so that other
///               workers and this one start them while child 0 waits; child 0 runs here
///   child ends: settle_ moves its outcome out and destroys its frame
///                 └─ it decides the join (claim() was first)? request_stop: the others go home
///               remaining_ - 1; whoever brings it to 0 resumes or unwinds the parent
///
///   decided_:   false → true by the child that decides; never back
///   remaining_: N → 0, one step per child
///
/// I1 The subtraction is a child's last access to the join unless it reached 0. A child that
///    decides requests the stop before its own subtraction, so the join, its stop state and the
///    parent's frame are alive during the request, however fast the others end. A foreign thread
///    has no subtraction: the end of the stop state waits for it (stop_token I5).
/// I2 Outcomes are written before the subtraction (release) and read by whoever reached 0
///    (acquire). Of several claims exactly one is first; what it writes needs no other order.
/// I3 A child's frame, with its parameters and what it held when it was stopped, is destroyed at
///    that child's end: nothing that belongs to it waits for its siblings.
/// I4 Success wins: the parent unwinds only when it is stopped itself and that kept a child of an
///    undecided join from its end.

#include <weft/runtime/sched/pass_stop.hpp>
#include <weft/runtime/sched/worker.hpp>
#include <weft/runtime/stop/stop_reason.hpp>
#include <weft/runtime/task/task.hpp>

#include <cstddef>
#include <cstdint>
#include <tuple>
#include <utility>
#include <vector>

namespace weft::detail {

class start_all_join : public end_hook {
public:
    /// Called at the end of `child`, whose number is in `child_index_`: moves the outcome out and
    /// destroys the frame. Why the others are not wanted any more, or `none` while they are.
    using settle_function = stop_kind (*)(start_all_join&, promise_base& child) noexcept;

    explicit start_all_join(settle_function settle) noexcept
        : end_hook(&child_done)
        , settle_(settle) {}

    start_all_join(start_all_join const&) = delete;
    start_all_join& operator=(start_all_join const&) = delete;

    /// Makes `child` one of the children, in front of those added before.
    void add_front(promise_base& child) noexcept {
        child.context_ = &context_;
        child.completion_ = this;
        child.sibling_ = first_;
        child.child_index_ = 0;
        first_ = &child;
    }

    /// After the last add_front(): starts the children. Gives what runs now.
    /// `name` is what the user calls the operation.
    [[nodiscard]] std::coroutine_handle<> start(promise_base& parent, char const* name) noexcept;

    /// Child, in settle_: true for the first caller, which decides the join.
    [[nodiscard]] bool claim() noexcept;

    /// After the join: some child has decided it.
    [[nodiscard]] bool is_decided() const noexcept {
        // relaxed: observe — ordered by the count (I2)
        return decided_.load(relaxed);
    }

    /// After the join: the parent's stop kept a child of an undecided join from its end.
    [[nodiscard]] bool was_cut_short() const noexcept;

    /// Any thread, while a child is alive: stops the children. True for the first caller.
    bool request_stop(stop_reason const& reason) noexcept {
        return context_.own_stop.request_stop(reason);
    }

    /// Before start(): a stop of the parent is told instead of unwinding it.
    void tell_when_stopped() noexcept { when_stopped_ = when_stopped::tell; }

private:
    static std::coroutine_handle<> child_done(end_hook& base, promise_base& child) noexcept;
    [[nodiscard]] std::coroutine_handle<> start_nothing() noexcept;
    [[nodiscard]] std::coroutine_handle<> finish() noexcept;

    // --- constant after start() ----------------------------------------------------
    stop_context context_;
    promise_base* parent_ = nullptr;
    promise_base* first_ = nullptr;
    settle_function settle_;
    when_stopped when_stopped_ = when_stopped::unwind;

    // --- any thread, atomic (see Protocol) ---------------------------------------
    /// Written by every child that ends.
    atomic<std::uint32_t> remaining_{0};
    /// Written by the child that decides, read by all and by the parent.
    atomic<bool> decided_{false};
    /// Written by children that were stopped, read by the last one.
    atomic<bool> stopped_{false};
};

/// Requires: not awaited before.
template <class T>
[[nodiscard]] task_promise<T>& promise_of(task<T>& child) noexcept {
    WEFT_CHECK(static_cast<bool>(child), "an empty task is awaited: a task can be awaited once");
    return task_access::promise(child);
}

/// A join of children known one by one. `Derived` has
/// `template <std::size_t I> stop_kind child_ended(promise&) noexcept`, which moves the outcome out
/// and tells why the others are to be stopped, if they are.
template <class Derived, class... T>
class join_of_pack : public start_all_join {
protected:
    using tasks = std::tuple<task<T>...>;

    explicit join_of_pack(tasks&& children) noexcept
        : start_all_join(&settle)
        , children_(std::move(children)) {}

    ~join_of_pack() = default;

    [[nodiscard]] std::coroutine_handle<> begin(promise_base& parent, char const* name) noexcept {
        add_all(std::index_sequence_for<T...>{});
        return start(parent, name);
    }

    tasks children_;

private:
    template <std::size_t... I>
    void add_all(std::index_sequence<I...>) noexcept {
        (add_front(promise_of(std::get<sizeof...(T) - 1 - I>(children_))), ...);
    }

    template <std::size_t I>
    static stop_kind settle_one(join_of_pack& self, promise_base& child) noexcept {
        using promise = typename std::tuple_element_t<I, tasks>::promise_type;
        auto& derived = static_cast<Derived&>(self);
        stop_kind const reason = derived.template child_ended<I>(static_cast<promise&>(child));
        std::get<I>(self.children_) = {};  // keeps I3
        return reason;
    }

    template <std::size_t... I>
    static stop_kind settle_at(std::index_sequence<I...>,
                               join_of_pack& self,
                               promise_base& child) noexcept {
        using function = stop_kind (*)(join_of_pack&, promise_base&) noexcept;
        static constexpr function each[] = {&settle_one<I>...};
        return each[child.child_index_](self, child);
    }

    static stop_kind settle(start_all_join& base, promise_base& child) noexcept {
        auto& self = static_cast<join_of_pack&>(base);
        return settle_at(std::index_sequence_for<T...>{}, self, child);
    }
};

/// A join of a number of children known at run time. `Derived` has
/// `stop_kind child_ended(std::size_t index, promise&) noexcept`, as above.
template <class Derived, class T>
class join_of_range : public start_all_join {
protected:
    using tasks = std::vector<task<T>>;

    explicit join_of_range(tasks&& children) noexcept
        : start_all_join(&settle)
        , children_(std::move(children)) {}

    ~join_of_range() = default;

    [[nodiscard]] std::coroutine_handle<> begin(promise_base& parent, char const* name) noexcept {
        for (std::size_t i = children_.size(); i-- != 0;) {
            add_front(promise_of(children_[i]));
        }
        return start(parent, name);
    }

    tasks children_;

private:
    static stop_kind settle(start_all_join& base, promise_base& child) noexcept {
        auto& self = static_cast<join_of_range&>(base);
        std::size_t const index = child.child_index_;
        auto& derived = static_cast<Derived&>(self);
        stop_kind const reason = derived.child_ended(index, static_cast<task_promise<T>&>(child));
        self.children_[index] = {};  // keeps I3
        return reason;
    }
};

}  // namespace weft::detail
