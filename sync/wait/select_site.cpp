#include <weft/sync/wait/select_site.hpp>

#include <weft/runtime/sched/make_ready.hpp>
#include <weft/runtime/sched/scheduler.hpp>
#include <weft/sync/wait/select_branch.hpp>
#include <weft/sync/wait/select_start.hpp>

#include <algorithm>
#include <functional>
#include <utility>

namespace weft::detail {

namespace {

/// The locks of several branches, each taken once, in the order of their addresses. They are noted
/// here, since the select may be gone before the last lock is given back.
class all_locks {
public:
    all_locks(select_place const* places, std::uint32_t count) noexcept {
        brief_lock** end = locks_;
        for (std::uint32_t i = 0; i < count; ++i) {
            if (places[i].is_direct()) {
                *end++ = &places[i].lock();
            }
        }
        std::sort(locks_, end, std::less<>());
        count_ = static_cast<std::size_t>(std::unique(locks_, end) - locks_);
        for (std::size_t i = 0; i < count_; ++i) {
            locks_[i]->lock();
        }
    }

    all_locks(all_locks const&) = delete;
    all_locks& operator=(all_locks const&) = delete;

    ~all_locks() {
        for (std::size_t i = 0; i < count_; ++i) {
            locks_[i]->unlock();
        }
    }

private:
    brief_lock* locks_[select_site::branches_max];
    std::size_t count_ = 0;
};

/// A branch that is asked, or run to tell, does so with a budget of its own: what is left of the
/// select's says nothing of it.
class lent_budget {
public:
    lent_budget() noexcept : left_(std::exchange(ready_budget, ready_budget_full)) {}

    lent_budget(lent_budget const&) = delete;
    lent_budget& operator=(lent_budget const&) = delete;

    ~lent_budget() { ready_budget = left_; }

private:
    std::uint32_t left_;
};

}  // namespace

bool foreign_place::ask() noexcept {
    lent_budget const budget;
    return ask_(*this);
}

bool select_place::poll() const noexcept {
    if (channel_ == nullptr) {
        return try_now_(operation_);
    }
    wake_chain woken;
    brief_lock& lock = channel_->core().lock_;
    lock.lock();
    bool const complete = channel_->attempt(woken);
    lock.unlock();
    woken.wake_all();
    return complete;
}

bool select_place::take_or_enlist() const noexcept {
    if (channel_ == nullptr) {
        return waiter_->take_or_enlist();
    }
    channel_->enlist();
    return false;
}

void select_place::leave(waiter_list& woken) const noexcept {
    if (channel_ == nullptr) {
        waiter_->leave(woken);
    } else if (channel_->is_linked()) {
        channel_->unlink();
    }
}

/// Every direct branch once, from `start` round.
template <class Try>
bool select_site::try_in_order(std::uint32_t start, Try attempt) noexcept {
    std::uint32_t const count = plan_.count;
    for (std::uint32_t i = 0; i < count; ++i) {
        std::uint32_t const place = start + i < count ? start + i : start + i - count;
        select_place const& each = plan_.places[place];
        if (each.is_direct() && attempt(each)) {
            winner_ = place;
            return true;
        }
    }
    return false;
}

bool select_site::poll(bool may_wait) noexcept {
    std::uint32_t const start = biased_ || plan_.count < 2 ? 0 : select_start(plan_.count);
    return plan_.foreign_count == 0
               ? try_in_order(start, [](select_place const& each) { return each.poll(); })
               : poll_every_sort(start, may_wait);
}

/// One that only running tells is run when it comes first of those that are left, with bias, or
/// when it is its turn.
bool select_site::poll_every_sort(std::uint32_t start, bool may_wait) noexcept {
    std::uint32_t const count = plan_.count;
    for (std::uint32_t i = 0; i < count; ++i) {
        std::uint32_t const place = start + i < count ? start + i : start + i - count;
        select_place const& each = plan_.places[place];
        if (!each.is_direct() && !each.foreign().can_be_asked()) {
            if (may_wait && (biased_ || i == 0)) {
                run_first_ = place;
                return false;
            }
        } else if (each.is_direct() ? each.poll() : each.foreign().ask()) {
            winner_ = place;
            return true;
        }
    }
    return false;
}

bool select_site::wait(promise_base& waiter) noexcept {
    WEFT_CHECK(waiter.context_->sched != nullptr, "a select that waits needs a runtime");
    waiter_ = &waiter;
    if (!enroll(&waiter.stop())) {
        return end_stopped();
    }
    return plan_.foreign_count == 0 ? wait_in_lists(waiter) : wait_for_every_sort(waiter);
}

/// True when it is open to everybody from here on; false when a stop was first.
bool select_site::open() noexcept {
    claim_word expected = claim_word::preparing;
    // acq_rel: publish the select, open to claims; pairs with take() and on_stop(). The loser
    // (acquire) was stopped.
    return word_.compare_exchange_strong(expected, claim_word::open, acq_rel, acquire);
}

// --- direct branches alone ----------------------------------------------------------------

bool select_site::wait_in_lists(promise_base& waiter) noexcept {
    wake_chain woken;
    waiter_list others;
    registration const outcome = enlist_undecided(woken, others);
    if (outcome == registration::waiting) {
        return true;  // nothing is ours any more
    }
    woken.wake_all();
    detail::wake_all(others);
    if (outcome == registration::stopped) {
        return end_stopped();
    }
    return !spend_budget() && give_way(waiter);
}

select_site::registration select_site::enlist_undecided(wake_chain& woken,
                                                        waiter_list& others) noexcept {
    all_locks const locks(plan_.places, plan_.count);
    if (complete_or_enlist(woken, others)) {
        return registration::complete;  // if a stop has come meanwhile, success wins
    }
    enlisted_ = true;  // keeps I5
    if (!open()) {
        enlisted_ = false;
        take_back(plan_.count, others);
        return registration::stopped;
    }
    return registration::waiting;
}

/// With every lock taken, and the right to decide. True when a branch takes effect; else all are in
/// their lists.
bool select_site::complete_or_enlist(wake_chain& woken, waiter_list& others) noexcept {
    std::uint32_t const start = biased_ || plan_.count < 2 ? 0 : select_start(plan_.count);
    if (try_in_order(start, [&woken](select_place const& each) { return each.attempt(woken); })) {
        return true;
    }
    for (std::uint32_t i = 0; i < plan_.count; ++i) {
        if (plan_.places[i].is_direct() && plan_.places[i].take_or_enlist()) {
            commit(i);  // first: whom we let in below may be ourselves
            take_back(i, others);
            return true;
        }
    }
    return false;
}

/// With every lock taken.
void select_site::take_back(std::uint32_t enlisted, waiter_list& others) noexcept {
    for (std::uint32_t i = 0; i < enlisted; ++i) {
        if (plan_.places[i].is_direct()) {
            plan_.places[i].leave(others);
        }
    }
}

bool select_site::end_stopped() noexcept {
    winner_ = nobody;
    if (!take_stop(*waiter_, when_stopped_)) {
        return false;
    }
    make_ready(*waiter_, wake_as::unwind);
    return true;
}

// --- with foreign branches ------------------------------------------------------------------

/// The registrar's share in parties_ keeps the select alive until the end.
bool select_site::wait_for_every_sort(promise_base& waiter) noexcept {
    foreign_context_.follow(*waiter.context_);
    // relaxed: own — published with the word, and with the branches
    parties_.store(2 + plan_.foreign_count, relaxed);
    if (!open()) {
        return end_stopped();
    }
    wake_chain woken;
    waiter_list others;
    registration outcome = ask_in_turn();
    if (outcome == registration::waiting) {
        outcome = enlist_claimed(woken, others);
    }
    woken.wake_all();
    detail::wake_all(others);
    std::uint32_t leaving = 1;
    if (outcome == registration::complete) {
        foreign_context_.own_stop.request_stop();  // keeps I4
        ++leaving;
    }
    return end_or_wait(leaving + start_rest());
}

/// What poll() has left to ask, with the branch that is to be run first.
select_site::registration select_site::ask_in_turn() noexcept {
    std::uint32_t const start = std::exchange(run_first_, nobody);
    if (start == nobody) {
        return registration::waiting;
    }
    std::uint32_t const count = biased_ ? plan_.count - start : plan_.count;
    for (std::uint32_t i = 0; i < count; ++i) {
        std::uint32_t const place = start + i < plan_.count ? start + i : start + i - plan_.count;
        select_place const& each = plan_.places[place];
        if (each.is_direct() || each.foreign().can_be_asked()) {
            if (registration const outcome = ask(place); outcome != registration::waiting) {
                return outcome;
            }
        } else if (biased_ || i == 0) {
            lent_budget const budget;
            if (can_run_within()) {
                run_within(each.foreign().start());
            }
            if (is_decided()) {
                return registration::decided;
            }
        }
    }
    return registration::waiting;
}

/// The select is in no list yet; branches that run may decide it meanwhile, and a stop.
select_site::registration select_site::ask(std::uint32_t place) noexcept {
    select_place const& each = plan_.places[place];
    if (!each.is_direct() && !each.foreign().takes_when_asked()) {
        if (!each.foreign().ask()) {
            return registration::waiting;
        }
        return decide(place) ? registration::complete : registration::decided;
    }
    if (!take(claim_word::busy)) {
        return registration::decided;
    }
    if (each.is_direct() ? each.poll() : each.foreign().ask()) {
        commit(place);
        return registration::complete;
    }
    roll_back();
    return registration::waiting;
}

select_site::registration select_site::enlist_claimed(wake_chain& woken,
                                                      waiter_list& others) noexcept {
    if (!take(claim_word::busy)) {
        return registration::decided;
    }
    all_locks const locks(plan_.places, plan_.count);  // after the claim: keeps I2
    if (complete_or_enlist(woken, others)) {
        commit(winner_);
        return registration::complete;
    }
    enlisted_ = true;
    roll_back();
    return registration::waiting;
}

/// Gives how many there was no need to start.
std::uint32_t select_site::start_rest() noexcept {
    std::uint32_t never_started = 0;
    for (std::uint32_t i = 0; i < plan_.count; ++i) {
        if (plan_.places[i].is_direct() || plan_.places[i].foreign().has_started()) {
            continue;
        }
        if (is_decided()) {
            ++never_started;
        } else {
            make_ready(plan_.places[i].foreign().start());
        }
    }
    return never_started;
}

/// The registrar leaves.
bool select_site::end_or_wait(std::uint32_t leaving) noexcept {
    if (!leave(leaving) || !take_back_lent()) {
        return true;
    }
    if (winner_ == nobody) {
        return end_stopped();
    }
    return !spend_budget() && give_way(*waiter_);
}

bool select_site::begin_try() noexcept {
    return take(claim_word::trying);
}

void select_site::win_by_try(std::uint32_t branch) noexcept {
    commit(branch);
    wake();
}

void select_site::end_try() noexcept {
    claim_word expected = claim_word::trying;
    // acq_rel: hand back the right to decide; pairs with take() and take_in_list(). The loser
    // (acquire) was missed, and keeps it.
    if (!word_.compare_exchange_strong(expected, claim_word::open, acq_rel, acquire)) {
        look_again();
    }
}

/// Counterparts have passed the select by, and go on doing so until it is open again.
void select_site::look_again() noexcept {
    wake_chain woken;
    waiter_list others;
    bool complete = false;
    {
        all_locks const locks(plan_.places, plan_.count);
        take_back(plan_.count, others);
        complete = complete_or_enlist(woken, others);
        if (complete) {
            commit(winner_);
        } else {
            roll_back();
        }
    }
    woken.wake_all();
    detail::wake_all(others);
    if (complete) {
        wake();
    }
}

bool select_site::decide(std::uint32_t branch) noexcept {
    if (!take(claim_word::taken)) {
        return false;
    }
    winner_ = branch;
    return true;
}

void select_site::foreign_done(bool decided) noexcept {
    std::uint32_t leaving = 1;
    if (decided) {
        unlist();
        foreign_context_.own_stop.request_stop();  // keeps I4
        ++leaving;
    }
    if (leave(leaving)) {
        resume();
    }
}

void select_site::check_lent(void const* const* lent, std::size_t count) noexcept {
    for (std::size_t i = 1; i < count; ++i) {
        WEFT_CHECK(lent[i] == nullptr || std::find(lent, lent + i, lent[i]) == lent + i,
                   "two branches of a select wait for conditions with one guard: it can be given "
                   "up once");
    }
}

// --- everybody --------------------------------------------------------------------------------

void select_site::finish() noexcept {
    withdraw();
    unlist();
}

/// After the decision: keeps I3.
void select_site::unlist() noexcept {
    if (!enlisted_) {
        return;
    }
    enlisted_ = false;
    for (std::uint32_t i = 0; i < plan_.count; ++i) {
        select_place const& each = plan_.places[i];
        if (i == winner_ || !each.is_direct()) {
            continue;  // keeps I6
        }
        waiter_list others;
        {
            brief_guard const guard(each.lock());
            each.leave(others);
        }
        wake_all(others);
    }
}

bool select_site::take(claim_word wanted) noexcept {
    spin_pause pause;
    claim_word expected = claim_word::open;
    // acq_rel: claim the decision; pairs with itself and with roll_back(). The loser (acquire)
    // waits for whoever is busy, or leaves it.
    while (!word_.compare_exchange_weak(expected, wanted, acq_rel, acquire)) {
        if (expected == claim_word::taken) {
            return false;
        }
        if (expected != claim_word::open) {
            pause.once();
        }
        expected = claim_word::open;
    }
    return true;
}

/// With the lock of the list. Waits for no try (I2).
bool select_site::take_in_list(claim_word wanted) noexcept {
    spin_pause pause;
    claim_word expected = claim_word::open;
    // acq_rel: claim the decision; pairs with itself and with roll_back(). The loser (acquire)
    // waits for whoever is busy, or leaves it.
    while (!word_.compare_exchange_weak(expected, wanted, acq_rel, acquire)) {
        if (expected == claim_word::taken || expected == claim_word::missed) {
            return false;
        }
        if (expected == claim_word::trying) {
            // acq_rel: hand back our part to whoever tries; pairs with end_try(). The loser
            // (acquire) looks at what became of the try.
            if (word_.compare_exchange_weak(expected, claim_word::missed, acq_rel, acquire)) {
                return false;
            }
        } else if (expected == claim_word::busy) {
            pause.once();
        }
        expected = claim_word::open;
    }
    return true;
}

bool select_site::claim_in_list() noexcept {
    return take_in_list(claim_word::busy);
}

void select_site::commit(std::uint32_t branch) noexcept {
    winner_ = branch;
    // release: publish the decision; pairs with take()
    word_.store(claim_word::taken, release);
}

void select_site::roll_back() noexcept {
    // release: hand back the right to decide; pairs with take()
    word_.store(claim_word::open, release);
}

bool select_site::decide_in_list(std::uint32_t branch) noexcept {
    if (!take_in_list(claim_word::taken)) {
        return false;
    }
    winner_ = branch;
    return true;
}

void select_site::wake() noexcept {
    if (plan_.foreign_count == 0) {
        resume();
        return;
    }
    unlist();
    foreign_context_.own_stop.request_stop();  // keeps I4
    if (leave(1)) {
        resume();
    }
}

wait_arbiter select_site::as_arbiter() noexcept {
    static constexpr wait_arbiter::functions functions{
        [](void* self, std::uint32_t branch) noexcept {
            return static_cast<select_site*>(self)->decide_in_list(branch);
        },
        [](void* self) noexcept { static_cast<select_site*>(self)->wake(); }};
    return {this, &functions};
}

void select_site::on_stop(stop_node& node) noexcept {
    auto& self = static_cast<select_site&>(node);
    claim_word expected = claim_word::preparing;
    // acq_rel: claim the decision before the registrar opens it; pairs with open(). The
    // loser (acquire) finds it open.
    if (self.word_.compare_exchange_strong(expected, claim_word::taken, acq_rel, acquire)) {
        return;  // the registrar finds it, unless a branch completes first
    }
    if (self.take(claim_word::taken)) {
        self.winner_ = nobody;
        self.wake();
    }
}

void lost_branch::unwind_soon(promise_base& loser) noexcept {
    make_ready(loser, wake_as::unwind);
}

bool select_site::leave(std::uint32_t parties) noexcept {
    // acq_rel: count — the last one acts after all others; pairs with itself
    return parties_.fetch_sub(parties, acq_rel) == parties;
}

/// Keeps I7. False when somebody has to give something back first: took_back() follows.
bool select_site::take_back_lent() noexcept {
    if (plan_.foreign_count == 0) {
        return true;
    }
    while (taken_back_ < plan_.count) {
        select_place const& each = plan_.places[taken_back_++];
        if (!each.is_direct() && !each.foreign().take_back()) {
            return false;
        }
    }
    return true;
}

void select_site::resume() noexcept {
    if (!take_back_lent()) {
        return;
    }
    bool const unwinds = winner_ == nobody && take_stop(*waiter_, when_stopped_);
    make_ready(*waiter_, unwind_if(unwinds));  // the last access
}

}  // namespace weft::detail
