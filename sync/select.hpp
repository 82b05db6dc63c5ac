#pragma once

#include <weft/sync/wait/select_branch.hpp>

#include <concepts>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <system_error>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>

namespace weft {

/// What a select yields: which branch took effect, and its result.
///
/// Thread safety, lifetime: as for a plain value.
/// Cancellation: never suspends.
/// Complexity: holds one result.
/// Errors: `get<I>()` throws std::bad_variant_access when another branch took effect.
template <class... Results>
class [[nodiscard]] select_result {
public:
    template <std::size_t I, class... Value>
    explicit select_result(std::in_place_index_t<I> index, Value&&... value)
        : held_(index, static_cast<Value&&>(value)...) {}

    /// The position of the branch in the call.
    [[nodiscard]] std::size_t index() const noexcept { return held_.index(); }

    /// The result of branch `I`; `unit` stands for void, a pointer for a reference.
    template <std::size_t I>
    [[nodiscard]] decltype(auto) get() & {
        static_assert(has_branch<I>, "the select has no branch of this number: they count from 0");
        if constexpr (has_branch<I>) {
            return std::get<I>(held_);
        }
    }

    template <std::size_t I>
    [[nodiscard]] decltype(auto) get() const& {
        static_assert(has_branch<I>, "the select has no branch of this number: they count from 0");
        if constexpr (has_branch<I>) {
            return std::get<I>(held_);
        }
    }

    template <std::size_t I>
    [[nodiscard]] auto get() && {
        static_assert(has_branch<I>, "the select has no branch of this number: they count from 0");
        if constexpr (has_branch<I>) {
            return std::get<I>(std::move(held_));
        }
    }

    /// Calls `visitor` with the result.
    template <class Visitor>
    decltype(auto) visit(Visitor&& visitor) && {
        return std::visit(static_cast<Visitor&&>(visitor), std::move(held_));
    }

private:
    template <std::size_t I>
    static constexpr bool has_branch = I < sizeof...(Results);

    std::variant<detail::selected_t<Results>...> held_;
};

namespace detail {

/// What a select that is awaited waits in.
template <bool ResultForm, class... Operations>
class [[nodiscard]] select_wait {
    template <class Operation>
    using branch_of = select_branch<std::remove_cvref_t<Operation>>;

    static constexpr std::size_t foreign_count =
        (std::size_t{branch_of<Operations>::is_foreign} + ...);
    static constexpr std::size_t lending_count = (std::size_t{branch_of<Operations>::lends} + ...);
    static constexpr auto positions = std::index_sequence_for<Operations...>{};
    static_assert(sizeof...(Operations) <= select_site::branches_max);

public:
    using value_type = select_result<typename branch_of<Operations>::result_type...>;

    select_wait(bool is_biased, std::tuple<Operations&&...> operations) noexcept
        : operations_(std::move(operations))
        , site_(select_site::plan(places_, sizeof...(Operations), foreign_count),
                is_biased,
                ResultForm) {}

    select_wait(select_wait const&) = delete;
    select_wait& operator=(select_wait const&) = delete;

    [[nodiscard]] bool await_ready() const noexcept { return false; }

    template <std::derived_from<promise_base> Promise>
    [[nodiscard]] bool await_suspend(std::coroutine_handle<Promise> handle) {
        promise_base& waiter = handle.promise();
        list(positions);
        bool const may_wait = foreign_count != 0 && waiter.context_->sched != nullptr;
        if (!waiter.stop().stop_requested() && site_.poll(may_wait)) {
            return !spend_budget() && give_way(waiter);
        }
        begin(positions);
        return site_.wait(waiter);
    }

    auto await_resume() {
        site_.finish();
        if constexpr (ResultForm) {
            if (site_.winner() == select_site::nobody) {
                return result<value_type>(failure(std::errc::operation_canceled));
            }
            return result<value_type>(take<0>());
        } else {
            return take<0>();
        }
    }

    /// Without waiting: what try_select gives.
    [[nodiscard]] std::optional<value_type> poll() {
        list(positions);
        if (!site_.poll(false)) {
            return std::nullopt;
        }
        return take<0>();
    }

private:
    template <std::size_t... I>
    void list(std::index_sequence<I...>) noexcept {
        ((places_[I] =
              std::get<I>(branches_).prepare(std::get<I>(operations_), site_, std::uint32_t(I))),
         ...);
    }

    template <std::size_t... I>
    void begin(std::index_sequence<I...>) {
        if constexpr (lending_count > 1) {
            void const* const lent[] = {std::get<I>(branches_).lent()...};
            select_site::check_lent(lent, sizeof...(I));
        }
        (std::get<I>(branches_).begin(), ...);
    }

    template <std::size_t I>
    value_type take() {
        if constexpr (I + 1 < sizeof...(Operations)) {
            if (site_.winner() != I) {
                return take<I + 1>();
            }
        }
        auto& branch = std::get<I>(branches_);
        using result_type = decltype(branch.result());
        if constexpr (std::is_void_v<result_type>) {
            branch.result();
            return value_type(std::in_place_index<I>);
        } else if constexpr (std::is_reference_v<result_type>) {
            return value_type(std::in_place_index<I>, &branch.result());
        } else {
            return value_type(std::in_place_index<I>, branch.result());
        }
    }

    std::tuple<Operations&&...> operations_;
    select_place places_[sizeof...(Operations)] = {};
    select_site site_;  // outlives the foreign coroutines: what was stopped refers to it
    std::tuple<branch_of<Operations>...> branches_;
};

}  // namespace detail

/// A select that is to be awaited, once. It refers to its operations: where one was a temporary, it
/// is awaited in the expression that made it.
template <bool ResultForm, class... Operations>
class [[nodiscard]] select_operation {
    static constexpr bool refers_to_variables = (std::is_lvalue_reference_v<Operations> && ...);

public:
    select_operation(bool is_biased, std::tuple<Operations&&...> operations) noexcept
        : biased_(is_biased)
        , operations_(std::move(operations)) {}

    select_operation(select_operation const&) = delete;
    select_operation& operator=(select_operation const&) = delete;

    [[nodiscard]] detail::select_wait<ResultForm, Operations...> operator co_await() && noexcept {
        return detail::select_wait<ResultForm, Operations...>(biased_, std::move(operations_));
    }

    [[nodiscard]] detail::select_wait<ResultForm, Operations...> operator co_await() & noexcept {
        static_assert(refers_to_variables,
                      "a select refers to its operations, and one of these was a temporary that is "
                      "gone: await the select in the expression that makes it, or give it "
                      "operations that are variables");
        return std::move(*this).operator co_await();
    }

    [[nodiscard]] select_operation<true, Operations...> as_result() && noexcept
        requires(!ResultForm)
    {
        return select_operation<true, Operations...>(biased_, std::move(operations_));
    }

private:
    bool biased_;
    std::tuple<Operations&&...> operations_;
};

/// What can be a branch of a select.
template <class Operation>
concept selectable = detail::direct_operation<std::remove_cvref_t<Operation>> ||
                     detail::foreign_branch<std::remove_cvref_t<Operation>>;

/// Tag: the earliest branch wins when several could.
struct biased_t {
    explicit biased_t() = default;
};

inline constexpr biased_t biased{};

/// Waits for several operations and lets exactly one take effect.
///
///     auto won = co_await weft::select(requests.recv(), lock.scoped_lock(), weft::sleep_for(1s));
///     if (won.index() == 0) use(won.get<0>());
///
/// Operations of channels and of primitives (locks, semaphores, events, latches) are branches by
/// themselves: one that loses has sent or taken nothing, and at no time held what it wanted; who
/// waits behind it gets that. `accept`, `read_some` and the next signal of a set wait without
/// effect, and take something only when they win. Tasks, sleeps, joins (`handle.join()`) and other
/// operations that leave no trace run beside each other, and are stopped and waited for when
/// another branch wins. The frame of a task goes, with its parameters, when it ends, and with it
/// the result of one that has lost. Any other operation whose loss could lose data (`read_exact`),
/// or whose effect cannot be taken back (a barrier's arrival), is refused: put it into a task.
///
/// The wait of a condition variable gives the mutex up when the select begins to wait. The task has
/// it again when it goes on or unwinds, whichever branch wins: the select takes it back when all
/// branches have ended, so that a loser can have it on its way out, and others can be first. A
/// predicate that holds, and wins, keeps the mutex meanwhile: no other branch may need that mutex
/// to end (a task that waits for a condition with it does). A notification that a losing branch was
/// woken with goes to the next. Two waits with one guard abort: it can be given up once.
///
/// When several could complete, of whatever kind, they win in turn. With `biased` the first in the
/// call wins. A task tells only by running whether it could: it is run, until it waits, when it is
/// its turn, or with `biased` when none before it could complete. So a task that waits, if only for
/// a moment, begins anew with each select, and loses to what is always ready.
///
/// Thread safety: awaited in one coroutine; what the branches wait for may be used by anybody
///     meanwhile.
/// Cancellation: a stop of the awaiting task ends every branch without effect, unless one has taken
///     effect: then its result is delivered. A task that was stopped before takes nothing.
/// Lifetime: refers to its operations, so that they need not be movable. One that was stored can be
///     awaited if they live as long: if they are variables.
/// Resumption: through the scheduler, when every branch that was started has ended; at once when
///     one was complete and none was started.
/// Complexity: one lock per channel, none per primitive, while something is ready; all locks at
///     once, in one order, to wait. A system call for each branch that waits for the kernel and is
///     asked. No allocation but one coroutine frame for each branch that is neither an operation of
///     a channel or primitive nor a task, made when the select is to wait, or a task to be run.
/// Errors: those of the branch that took effect, such as errc::closed of a send.
/// Example: examples/chat.cpp
template <selectable... Operations>
    requires(sizeof...(Operations) > 0)
[[nodiscard]] select_operation<false, Operations...> select(
    Operations&&... operations WEFT_LIFETIMEBOUND) noexcept {
    return select_operation<false, Operations...>(
        false, std::tuple<Operations&&...>(static_cast<Operations&&>(operations)...));
}

template <selectable... Operations>
    requires(sizeof...(Operations) > 0)
[[nodiscard]] select_operation<false, Operations...> select(
    biased_t, Operations&&... operations WEFT_LIFETIMEBOUND) noexcept {
    return select_operation<false, Operations...>(
        true, std::tuple<Operations&&...>(static_cast<Operations&&>(operations)...));
}

namespace detail {

template <class Operation>
concept refused_branch =
    !selectable<Operation> && !std::same_as<std::remove_cvref_t<Operation>, biased_t>;

template <class Operation>
struct result_of_refused : std::type_identity<void> {};

template <awaitable Operation>
struct result_of_refused<Operation> : std::type_identity<await_result_t<Operation>> {};

/// Stands for a select that is refused, so that the reason is the only error.
template <class... Operations>
struct refused_select {
    using value_type =
        select_result<typename result_of_refused<std::remove_cvref_t<Operations>>::type...>;

    [[nodiscard]] bool await_ready() const noexcept { return true; }

    void await_suspend(std::coroutine_handle<>) const noexcept {}

    [[nodiscard]] value_type await_resume() const noexcept;
};

template <class Operation>
constexpr void refuse_branch() noexcept {
    static_assert(!refused_branch<Operation>,
                  "this operation cannot be a branch of a select: if it lost, data could be lost, "
                  "or its effect would stay. Await it in a task, which can be a branch, or select "
                  "what takes nothing unless it wins: read_some, readable, accept");
}

}  // namespace detail

/// Refused, with the reason.
template <class... Operations>
    requires(detail::refused_branch<Operations> || ...)
[[nodiscard]] detail::refused_select<Operations...> select(Operations&&...) noexcept {
    (detail::refuse_branch<Operations>(), ...);
    return {};
}

/// The same for operations of channels and primitives, without waiting: nothing when none can
/// complete now.
template <class... Operations>
    requires(sizeof...(Operations) > 0 &&
             (detail::direct_operation<std::remove_cvref_t<Operations>> && ...))
[[nodiscard]] auto try_select(Operations&&... operations) {
    return detail::select_wait<false, Operations...>(
               false, std::tuple<Operations&&...>(static_cast<Operations&&>(operations)...))
        .poll();
}

}  // namespace weft
