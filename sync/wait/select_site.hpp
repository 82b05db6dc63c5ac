#pragma once

/// The part of a select that does not depend on its branches' types.
///
/// Protocol. Operations of channels and of most primitives are *direct* branches: one waiter each,
/// in the lists of what they wait for. Everything else is a *foreign* branch: it can be asked
/// whether it is complete, or tells by being run; to wait it is a coroutine under a stop state of
/// the select.
///
///   word_ of direct branches alone:
///          preparing → open (registrar, with every lock taken) → busy ⇄ open → taken
///          preparing → taken (a stop before the waiters are enlisted)
///   with foreign ones:
///          preparing → open (registrar, before anything runs) → busy ⇄ open → taken
///          open → trying (a foreign branch that tries) → taken | open
///          trying → missed (a counterpart that finds it so) → taken | open
///   parties_: one for the decision, one for the registrar, one for each foreign branch; whoever
///          leaves last lets the coroutine go on. A select of direct branches alone does without:
///          whoever decides it lets it go on.
///
/// I1 Before it waits, a select asks its branches, a channel's under the channel's lock; its
///    waiters are in no list yet. Then it takes the locks of all of them, in the order of their
///    addresses, tries again and enlists every waiter before it gives a lock back: what a
///    counterpart finds is a select that waits in all of its places. So two selects that meet need
///    no claim on both: the later one is not enlisted anywhere. A primitive's holder leaves it
///    without the lock, so that the enlisting itself may have success: it ends there.
/// I2 Whoever takes the word from `open` decides; by `busy` or `trying` if something has to happen
///    first. A counterpart is `busy` while one value is moved or copied: others spin on that with
///    locks held. A registrar is only while the select is in no list. What is tried may be a system
///    call, and take a lock: a counterpart passes the select by, with its node, and leaves
///    `missed`. Whoever has tried in vain takes all nodes back and looks again, as the registrar
///    did.
/// I3 Nodes that are still listed after the decision are harmless: a counterpart's claim fails and
///    it unlinks them; the rest is unlinked, under each lock, before the foreign branches are
///    waited for (one of them may stand behind a node of ours), and before the frame can go.
/// I4 When the select is decided, the foreign branches are asked to stop, and waited for. The frame
///    of one is gone before anybody hears of its end: another may wait for what was in it.
/// I5 A stop needs no lock of a branch, so it can decide while the registrar enlists direct
///    branches alone. Whoever goes on then finds `enlisted_` set, and waits in unlist() for the
///    locks that the registrar holds; with the first of them given back, the registrar does not
///    touch the select any more, unless it has foreign branches to start.
/// I6 The branch that won is in no list: what it waited for may be gone already.
/// I7 What a branch has lent while it waited (the mutex of a condition) is taken back when all have
///    ended, and before the coroutine goes on: another branch may need it to end.

#include <weft/runtime/wait/wait_list.hpp>
#include <weft/sync/wait/channel_core.hpp>

#include <coroutine>
#include <cstddef>
#include <cstdint>

namespace weft::detail {

/// A branch that runs in a coroutine of its own when the select waits.
class foreign_place : public end_hook {
public:
    /// Without waiting: true when it is complete, with a result or an error.
    using ask_function = bool (*)(foreign_place& self) noexcept;
    /// True when the task has what it lent; else took_back() of the select follows.
    using take_back_function = bool (*)(foreign_place& self) noexcept;

    foreign_place(foreign_place const&) = delete;
    foreign_place& operator=(foreign_place const&) = delete;

    /// False when only running it tells.
    [[nodiscard]] bool can_be_asked() const noexcept { return ask_ != nullptr; }

    /// To be asked is to take: only with the right to decide.
    [[nodiscard]] bool takes_when_asked() const noexcept { return takes_; }

    [[nodiscard]] bool ask() noexcept;

    // --- from begin_with() on -------------------------------------------------------

    void begin_with(promise_base& coroutine) noexcept { coroutine_ = &coroutine; }

    [[nodiscard]] bool has_started() const noexcept { return started_; }

    [[nodiscard]] bool take_back() noexcept { return take_back_ == nullptr || take_back_(*this); }

    /// Once. What runs it first.
    [[nodiscard]] promise_base& start() noexcept {
        started_ = true;
        return *coroutine_;
    }

protected:
    foreign_place(function ended,
                  ask_function function_to_ask,
                  take_back_function to_take_back,
                  bool takes) noexcept
        : end_hook(ended)
        , ask_(function_to_ask)
        , take_back_(to_take_back)
        , takes_(takes) {}

    ~foreign_place() = default;

private:
    ask_function ask_;
    take_back_function take_back_;
    bool takes_;
    promise_base* coroutine_ = nullptr;
    bool started_ = false;
};

/// One branch: a waiter of a channel, or one of a primitive, or a coroutine.
class select_place {
public:
    /// Takes effect at once, without the primitive's lock; false when it would have to wait.
    using try_function = bool (*)(void* operation) noexcept;

    select_place() noexcept = default;

    explicit select_place(channel_waiter& place) noexcept : channel_(&place) {}

    select_place(waiter& place, void* operation, try_function try_now) noexcept
        : waiter_(&place)
        , operation_(operation)
        , try_now_(try_now) {}

    explicit select_place(foreign_place& place) noexcept : operation_(&place) {}

    [[nodiscard]] bool is_direct() const noexcept {
        return channel_ != nullptr || waiter_ != nullptr;
    }

    // --- a foreign branch -------------------------------------------------------------

    [[nodiscard]] foreign_place& foreign() const noexcept {
        return *static_cast<foreign_place*>(operation_);
    }

    // --- a direct branch ----------------------------------------------------------------

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

    /// What the select has, in the order of the call; the places live in its frame.
    struct plan {
        plan(select_place* branches, std::uint32_t number, std::uint32_t foreign_number) noexcept
            : places(branches)
            , count(number)
            , foreign_count(foreign_number) {}

        select_place* places;
        std::uint32_t count;
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

    /// Asks the branches, beginning with the one whose turn it is, up to one that has to be run to
    /// tell, and that goes before the rest; those are passed by unless the select `may_wait`. True
    /// when one was complete; winner() tells which.
    [[nodiscard]] bool poll(bool may_wait) noexcept;

    /// The coroutine is suspending, poll() said no, and the foreign branches have their coroutines.
    /// False when it is to go on at once.
    [[nodiscard]] bool wait(promise_base& waiter) noexcept;

    /// Before it waits: `lent` is what each branch will give up, or null. Ends the process if two
    /// would give up the same.
    static void check_lent(void const* const* lent, std::size_t count) noexcept;

    /// The coroutine goes on or is unwound: nobody refers to the select any more.
    void finish() noexcept;

    /// After the decision: the branch, or `nobody` for a stop.
    [[nodiscard]] std::uint32_t winner() const noexcept { return winner_; }

    /// Where the foreign branches run.
    [[nodiscard]] context const& foreign_context() const noexcept { return foreign_context_; }

    // --- counterparts, under the lock through which they found us ---------------------------

    /// Decides for a branch whose effect is there already. False when the select is decided, or is
    /// to look again: it is out of the list then.
    [[nodiscard]] bool decide_in_list(std::uint32_t branch) noexcept;

    /// False when the select is decided, or is to look again. Else commit() or roll_back() follows.
    [[nodiscard]] bool claim_in_list() noexcept;
    void commit(std::uint32_t branch) noexcept;
    void roll_back() noexcept;

    /// After unlocking: the one who decided leaves.
    void wake() noexcept;

    /// For branches that are waiters in a list.
    [[nodiscard]] wait_arbiter as_arbiter() noexcept;

    // --- foreign branches ------------------------------------------------------------

    [[nodiscard]] bool is_decided() const noexcept {
        // acquire: observe the decision; pairs with take() and commit()
        return word_.load(acquire) == claim_word::taken;
    }

    /// False when the select is decided. Else end_try() or win_by_try() follows.
    [[nodiscard]] bool begin_try() noexcept;
    void end_try() noexcept;
    void win_by_try(std::uint32_t branch) noexcept;

    /// A branch has ended; `nobody` for one without an outcome of its own. False when the select is
    /// decided. foreign_done() follows.
    [[nodiscard]] bool decide(std::uint32_t branch) noexcept;

    /// The frame of a branch is gone; `decided`: what decide() said. The branch's last access to
    /// the select.
    void foreign_done(bool decided) noexcept;

    /// All have ended, and one has what it lent.
    void took_back() noexcept { resume(); }

private:
    enum class claim_word : std::uint32_t { preparing, open, busy, trying, missed, taken };
    enum class registration : std::uint8_t { waiting, complete, decided, stopped };

    static void on_stop(stop_node& node) noexcept;
    template <class Try>
    [[nodiscard]] bool try_in_order(std::uint32_t start, Try attempt) noexcept;
    [[nodiscard]] bool poll_every_sort(std::uint32_t start, bool may_wait) noexcept;
    [[nodiscard]] bool take(claim_word wanted) noexcept;
    [[nodiscard]] bool take_in_list(claim_word wanted) noexcept;
    [[nodiscard]] bool open() noexcept;
    [[nodiscard]] bool wait_in_lists(promise_base& waiter) noexcept;
    [[nodiscard]] bool wait_for_every_sort(promise_base& waiter) noexcept;
    [[nodiscard]] registration ask_in_turn() noexcept;
    [[nodiscard]] registration ask(std::uint32_t place) noexcept;
    [[nodiscard]] registration enlist_undecided(wake_chain& woken, waiter_list& others) noexcept;
    [[nodiscard]] registration enlist_claimed(wake_chain& woken, waiter_list& others) noexcept;
    [[nodiscard]] bool complete_or_enlist(wake_chain& woken, waiter_list& others) noexcept;
    void look_again() noexcept;
    void take_back(std::uint32_t enlisted, waiter_list& others) noexcept;
    void unlist() noexcept;
    [[nodiscard]] bool end_stopped() noexcept;
    [[nodiscard]] bool end_or_wait(std::uint32_t leaving) noexcept;
    [[nodiscard]] std::uint32_t start_rest() noexcept;
    [[nodiscard]] bool leave(std::uint32_t parties) noexcept;
    [[nodiscard]] bool take_back_lent() noexcept;
    void resume() noexcept;

    // --- constant after construction -------------------------------------------
    plan plan_;
    bool biased_;
    when_stopped when_stopped_;

    // --- the selecting coroutine before it waits, then whoever decides, then it again ----------
    bool enlisted_ = false;

    // --- the selecting coroutine, before it waits -------------------------------------
    std::uint32_t run_first_ = nobody;  // the branch that poll() came to, and that has to be run
    promise_base* waiter_ = nullptr;
    stop_context foreign_context_;

    // --- whoever decides ---------------------------------------------------------
    std::uint32_t winner_ = nobody;

    // --- whoever leaves last, then whoever gives back what was lent ------------------------------
    std::uint32_t taken_back_ = 0;  // so many branches have what they lent (I7)

    // --- any thread, atomic (see Protocol) ---------------------------------------
    /// Written by the registrar and by whoever claims.
    atomic<claim_word> word_{claim_word::preparing};
    /// Written by whoever leaves.
    atomic<std::uint32_t> parties_{0};
};

}  // namespace weft::detail
