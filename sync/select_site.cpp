#include <weft/sync/select_site.hpp>

#include <weft/runtime/scheduler.hpp>
#include <weft/sync/select_branch.hpp>
#include <weft/sync/select_start.hpp>

#include <algorithm>
#include <functional>

namespace weft::detail {

namespace {

/// The locks of several branches, each taken once, in the order of their addresses. They are noted
/// here, since the select may be gone before the last lock is given back.
class all_locks {
public:
    all_locks(direct_branch const* branches, std::uint32_t count) noexcept {
        for (std::uint32_t i = 0; i < count; ++i) {
            locks_[i] = &branches[i].lock();
        }
        std::sort(locks_, locks_ + count, std::less<>());
        count_ = static_cast<std::size_t>(std::unique(locks_, locks_ + count) - locks_);
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

}  // namespace

bool direct_branch::poll() const noexcept {
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

bool direct_branch::take_or_enlist() const noexcept {
    if (channel_ == nullptr) {
        return waiter_->take_or_enlist();
    }
    channel_->enlist();
    return false;
}

void direct_branch::leave(waiter_list& woken) const noexcept {
    if (channel_ == nullptr) {
        waiter_->leave(woken);
    } else if (channel_->is_linked()) {
        channel_->unlink();
    }
}

template <class Try>
bool select_site::try_in_order(Try attempt) noexcept {
    std::uint32_t const count = plan_.direct_count;
    std::uint32_t const start = biased_ || count < 2 ? 0 : select_start(count);
    for (std::uint32_t i = 0; i < count; ++i) {
        std::uint32_t const place = start + i < count ? start + i : start + i - count;
        direct_branch const& each = plan_.direct[place];
        if (attempt(each)) {
            winner_ = each.index();
            return true;
        }
    }
    return false;
}

bool select_site::poll() noexcept {
    return try_in_order([](direct_branch const& each) { return each.poll(); });
}

bool select_site::wait(promise_base& waiter) noexcept {
    WEFT_CHECK(waiter.context_->sched != nullptr, "a select that waits needs a runtime");
    waiter_ = &waiter;
    if (!enroll(&waiter.stop())) {
        return end_stopped();
    }
    bool const has_foreign = plan_.foreign_count != 0;
    if (has_foreign) {
        foreign_context_.follow(*waiter.context_);
        // relaxed: own — published with the word, and with the branches
        parties_.store(2 + plan_.foreign_count, relaxed);
    }
    wake_chain woken;
    waiter_list others;
    registration const outcome = enlist_all(woken, others);
    if (outcome == registration::waiting) {
        return !has_foreign || start_foreign();  // without them, nothing is ours any more
    }
    woken.wake_all();
    detail::wake_all(others);
    if (outcome == registration::stopped) {
        return end_stopped();
    }
    return !spend_budget() && give_way(waiter);
}

select_site::registration select_site::enlist_all(wake_chain& woken, waiter_list& others) noexcept {
    std::uint32_t const count = plan_.direct_count;
    all_locks const locks(plan_.direct, count);
    if (try_in_order([&woken](direct_branch const& each) { return each.attempt(woken); })) {
        return registration::complete;  // if a stop has come meanwhile, success wins
    }
    for (std::uint32_t i = 0; i < count; ++i) {
        if (plan_.direct[i].take_or_enlist()) {
            // relaxed: own — nobody has seen the select; whom we let in below may be ourselves
            word_.store(claim_word::taken, relaxed);
            take_back(i, others);
            winner_ = plan_.direct[i].index();
            return registration::complete;
        }
    }
    enlisted_ = true;  // keeps I5
    claim_word expected = claim_word::preparing;
    // acq_rel: publish the select, open to claims; pairs with claim() and on_stop(). The loser
    // (acquire) was stopped.
    if (!word_.compare_exchange_strong(expected, claim_word::open, acq_rel, acquire)) {
        enlisted_ = false;
        take_back(count, others);
        return registration::stopped;
    }
    return registration::waiting;
}

/// With every lock taken: nobody has seen the first branches in their lists.
void select_site::take_back(std::uint32_t enlisted, waiter_list& others) noexcept {
    for (std::uint32_t i = 0; i < enlisted; ++i) {
        plan_.direct[i].leave(others);
    }
}

bool select_site::end_stopped() noexcept {
    winner_ = nobody;
    if (!is_unwound(*waiter_, when_stopped_)) {
        return false;
    }
    waiter_->stop_marked_ = true;
    waiter_->context_->sched->schedule(*waiter_);
    return true;
}

/// The registrar's share in parties_ keeps the select alive until the end.
bool select_site::start_foreign() noexcept {
    std::uint32_t leaving = 1;
    for (std::uint32_t i = 0; i < plan_.foreign_count; ++i) {
        if (is_decided()) {
            leaving += plan_.foreign_count - i;  // never started
            break;
        }
        waiter_->context_->sched->schedule(*plan_.foreign[i]);
    }
    if (leave(leaving)) {
        resume();
    }
    return true;
}

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
    for (std::uint32_t i = 0; i < plan_.direct_count; ++i) {
        direct_branch const& each = plan_.direct[i];
        if (each.index() == winner_) {
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
        if (expected == claim_word::busy) {
            pause.once();
        }
        expected = claim_word::open;
    }
    return true;
}

bool select_site::claim() noexcept {
    return take(claim_word::busy);
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

bool select_site::decide(std::uint32_t branch) noexcept {
    if (!take(claim_word::taken)) {
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

bool select_site::decide_and_wake(std::uint32_t branch) noexcept {
    bool const won = decide(branch);
    if (won) {
        wake();
    }
    return won;
}

void select_site::foreign_done(std::uint32_t branch, bool stopped) noexcept {
    std::uint32_t leaving = 1;
    if (decide(stopped ? nobody : branch)) {
        unlist();
        foreign_context_.own_stop.request_stop();  // keeps I4
        ++leaving;
    }
    if (leave(leaving)) {
        resume();
    }
}

void select_site::on_stop(stop_node& node) noexcept {
    auto& self = static_cast<select_site&>(node);
    claim_word expected = claim_word::preparing;
    // acq_rel: claim the decision before the registrar opens it; pairs with enlist_all(). The
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
    loser.stop_marked_ = true;
    loser.context_->sched->schedule(loser);
}

bool select_site::leave(std::uint32_t parties) noexcept {
    // acq_rel: count — the last one acts after all others; pairs with itself
    return parties_.fetch_sub(parties, acq_rel) == parties;
}

void select_site::resume() noexcept {
    promise_base& waiter = *waiter_;
    waiter.stop_marked_ = winner_ == nobody && is_unwound(waiter, when_stopped_);
    waiter.context_->sched->schedule(waiter);  // the last access
}

}  // namespace weft::detail
