#pragma once

/// The part of a select that does not depend on its branches' types.
///
/// Protocol. Operations of channels and of most primitives are *direct* branches: one waiter each,
/// in the lists of what they wait for. Everything else is a *foreign* branch, a coroutine under a
/// stop state of the select.
///
///   word_: preparing → open (registrar, with every lock taken) → busy ⇄ open → taken
///          preparing → taken (a stop before the waiters are enlisted)
///   parties_: one for the decision, one for the registrar, one for each foreign branch; whoever
///          leaves last lets the coroutine go on. A select of direct branches alone does without:
///          whoever decides it lets it go on.
///
/// I1 Before it waits, a select tries each of its direct branches, a channel's under the channel's
///    lock; its waiters are in no list yet, so that nobody can decide it meanwhile, and one that
///    completes decides it. Then it takes the locks of all of them, in the order of their
///    addresses, tries again and enlists every waiter before it gives a lock back: what a
///    counterpart finds is a select that waits in all of its places. So two selects that meet need
///    no claim on both: the later one is not enlisted anywhere. A primitive's holder leaves it
///    without the lock, so that the enlisting itself may have success: it ends there.
/// I2 Whoever takes the word from `open` (by `busy` if a value has to move first) decides. The
///    holder of `busy` takes no lock, so that others may spin on it with locks held.
/// I3 Nodes that are still listed after the decision are harmless: a counterpart's claim fails and
///    it unlinks them; the rest is unlinked, under each lock, before the foreign branches are
///    waited for (one of them may stand behind a node of ours), and before the frame can go.
/// I4 When the select is decided, the foreign branches are asked to stop, and waited for.
/// I5 A stop needs no lock of a branch, so it can decide while the registrar enlists. Whoever goes
///    on then finds `enlisted_` set, and waits in unlist() for the locks that the registrar holds;
///    with the first of them given back, the registrar does not touch the select any more, unless
///    it has foreign branches to start.
/// I6 The branch that won is in no list: what it waited for may be gone already.

#include <weft/sync/channel_core.hpp>
#include <weft/sync/wait_list.hpp>

#include <coroutine>
#include <cstddef>
#include <cstdint>

namespace weft::detail {

/// A branch that waits in a list by itself: a channel's, or a primitive's.
class direct_branch {
public:
    /// Takes effect at once, without the primitive's lock; false when it would have to wait.
    using try_function = bool (*)(void* operation) noexcept;

    direct_branch() noexcept = default;

    explicit direct_branch(channel_waiter& place) noexcept : channel_(&place) {}

    direct_branch(waiter& place, void* operation, try_function try_now) noexcept
        : waiter_(&place)
        , operation_(operation)
        , try_now_(try_now) {}

    [[nodiscard]] std::uint32_t index() const noexcept {
        return channel_ != nullptr ? channel_->branch() : waiter_->branch();
    }

    [[nodiscard]] brief_lock& lock() const noexcept {
        return channel_ != nullptr ? channel_->core().lock_ : waiter_->lock();
    }

    /// With no lock held.
    [[nodiscard]] bool poll() const noexcept;

    // --- under lock() --------------------------------------------------------------

    [[nodiscard]] bool attempt(wake_chain& woken) const noexcept {
        return channel_ != nullptr ? channel_->attempt(woken) : try_now_(operation_);
    }

    /// After a vain attempt(). True when it takes effect now; else it is in its list.
    [[nodiscard]] bool take_or_enlist() const noexcept;

    /// Takes it out of its list, if it is there.
    void leave(waiter_list& woken) const noexcept;

private:
    channel_waiter* channel_ = nullptr;
    waiter* waiter_ = nullptr;
    void* operation_ = nullptr;
    try_function try_now_ = nullptr;
};

class select_site : private stop_node {
public:
    static constexpr std::uint32_t nobody = ~std::uint32_t{0};
    static constexpr std::size_t branches_max = 32;

    /// What the select has; the arrays live in its frame.
    struct plan {
        plan(direct_branch* places,
             std::uint32_t place_number,
             promise_base** coroutines,
             std::uint32_t coroutine_number) noexcept
            : direct(places)
            , direct_count(place_number)
            , foreign(coroutines)
            , foreign_count(coroutine_number) {}

        direct_branch* direct;
        std::uint32_t direct_count;
        promise_base** foreign;
        std::uint32_t foreign_count;
    };

    select_site(plan const& branches, bool biased, bool result_form) noexcept
        : stop_node(&on_stop)
        , plan_(branches)
        , biased_(biased)
        , when_stopped_(result_form ? when_stopped::tell : when_stopped::unwind) {}

    select_site(select_site const&) = delete;
    select_site& operator=(select_site const&) = delete;

    /// Requires: no foreign branch runs.
    ~select_site() { finish(); }

    // --- the selecting coroutine ---------------------------------------------------

    /// Tries every direct branch once. True when one was completed; winner() tells which.
    [[nodiscard]] bool poll() noexcept;

    /// The coroutine is suspending, and poll() said no. False when it is to go on at once.
    [[nodiscard]] bool wait(promise_base& waiter) noexcept;

    /// The coroutine goes on or is unwound: nobody refers to the select any more.
    void finish() noexcept;

    /// After the decision: the branch, or `nobody` for a stop.
    [[nodiscard]] std::uint32_t winner() const noexcept { return winner_; }

    /// Where the foreign branches run.
    [[nodiscard]] context const& foreign_context() const noexcept { return foreign_context_; }

    // --- counterparts, under the lock through which they found us ---------------------------

    /// Decides for a branch whose effect is there already. False when the select is decided.
    [[nodiscard]] bool decide(std::uint32_t branch) noexcept;

    /// False when the select is decided. Else commit() or roll_back() follows.
    [[nodiscard]] bool claim() noexcept;
    void commit(std::uint32_t branch) noexcept;
    void roll_back() noexcept;

    /// After unlocking: the one who decided leaves.
    void wake() noexcept;

    // --- foreign branches ------------------------------------------------------------

    [[nodiscard]] bool is_decided() const noexcept {
        // acquire: observe the decision; pairs with take() and commit()
        return word_.load(acquire) == claim_word::taken;
    }

    /// A branch has had effect. False when the select is decided. foreign_done() follows.
    [[nodiscard]] bool decide_and_wake(std::uint32_t branch) noexcept;

    /// A branch has ended; `stopped` when without an outcome of its own. The branch's last access
    /// to the select.
    void foreign_done(std::uint32_t branch, bool stopped) noexcept;

private:
    enum class claim_word : std::uint32_t { preparing, open, busy, taken };
    enum class registration : std::uint8_t { waiting, complete, stopped };

    static void on_stop(stop_node& node) noexcept;
    template <class Try>
    [[nodiscard]] bool try_in_order(Try attempt) noexcept;
    [[nodiscard]] bool take(claim_word wanted) noexcept;
    [[nodiscard]] registration enlist_all(wake_chain& woken, waiter_list& others) noexcept;
    void take_back(std::uint32_t enlisted, waiter_list& others) noexcept;
    void unlist() noexcept;
    [[nodiscard]] bool end_stopped() noexcept;
    [[nodiscard]] bool start_foreign() noexcept;
    [[nodiscard]] bool leave(std::uint32_t parties) noexcept;
    void resume() noexcept;

    // --- constant after construction -------------------------------------------
    plan plan_;
    bool biased_;
    when_stopped when_stopped_;

    // --- the selecting coroutine before it waits, then whoever decides, then it again ----------
    bool enlisted_ = false;

    // --- the selecting coroutine, before it waits -------------------------------------
    promise_base* waiter_ = nullptr;
    stop_context foreign_context_;

    // --- whoever decides ---------------------------------------------------------
    std::uint32_t winner_ = nobody;

    // --- any thread, atomic (see Protocol) ---------------------------------------
    /// Written by the registrar and by whoever claims.
    atomic<claim_word> word_{claim_word::preparing};
    /// Written by whoever leaves.
    atomic<std::uint32_t> parties_{0};
};

}  // namespace weft::detail
