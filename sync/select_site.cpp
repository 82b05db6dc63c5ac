#include <weft/sync/select_site.hpp>

#include <weft/runtime/scheduler.hpp>
#include <weft/sync/select_branch.hpp>
#include <weft/sync/select_start.hpp>

#include <algorithm>
#include <functional>

namespace weft::detail {

namespace {

/// The locks of several channels, each taken once, in the order of their addresses. The channels
/// are noted here, since the select may be gone before the last lock is given back.
class all_locks {
public:
    all_locks(channel_waiter* const* waiters, std::uint32_t count) noexcept {
        for (std::uint32_t i = 0; i < count; ++i) {
            cores_[i] = &waiters[i]->core();
        }
        std::sort(cores_, cores_ + count, std::less<>());
        count_ = static_cast<std::size_t>(std::unique(cores_, cores_ + count) - cores_);
        for (std::size_t i = 0; i < count_; ++i) {
            cores_[i]->lock_.lock();
        }
    }

    all_locks(all_locks const&) = delete;
    all_locks& operator=(all_locks const&) = delete;

    ~all_locks() {
        for (std::size_t i = 0; i < count_; ++i) {
            cores_[i]->lock_.unlock();
        }
    }

private:
    channel_core* cores_[select_site::branches_max];
    std::size_t count_ = 0;
};

}  // namespace

template <class Try>
bool select_site::try_in_order(Try attempt) noexcept {
    std::uint32_t const count = plan_.channel_count;
    std::uint32_t const start = biased_ || count < 2 ? 0 : select_start(count);
    for (std::uint32_t i = 0; i < count; ++i) {
        std::uint32_t const place = start + i < count ? start + i : start + i - count;
        channel_waiter& each = *plan_.channels[place];
        if (attempt(each)) {
            winner_ = each.branch();
            return true;
        }
    }
    return false;
}

bool select_site::poll() noexcept {
    return try_in_order([](channel_waiter& each) {
        wake_chain woken;
        brief_lock& lock = each.core().lock_;
        lock.lock();
        bool const complete = each.attempt(woken);
        lock.unlock();
        woken.wake_all();
        return complete;
    });
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
    registration const outcome = enlist_all(woken);
    if (outcome == registration::waiting) {
        return !has_foreign || start_foreign();  // without them, nothing is ours any more
    }
    woken.wake_all();
    if (outcome == registration::stopped) {
        return end_stopped();
    }
    return !spend_budget() && give_way(waiter);
}

select_site::registration select_site::enlist_all(wake_chain& woken) noexcept {
    all_locks const locks(plan_.channels, plan_.channel_count);
    if (try_in_order([&woken](channel_waiter& each) { return each.attempt(woken); })) {
        return registration::complete;  // if a stop has come meanwhile, success wins
    }
    enlisted_ = true;  // keeps I5
    claim_word expected = claim_word::preparing;
    // acq_rel: publish the select, open to claims; pairs with claim() and on_stop(). The loser
    // (acquire) was stopped.
    if (!word_.compare_exchange_strong(expected, claim_word::open, acq_rel, acquire)) {
        enlisted_ = false;
        return registration::stopped;
    }
    for (std::uint32_t i = 0; i < plan_.channel_count; ++i) {
        plan_.channels[i]->enlist();
    }
    return registration::waiting;
}

bool select_site::end_stopped() noexcept {
    winner_ = nobody;
    if (resume_when_stopped_) {
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
    if (!enlisted_) {
        return;
    }
    enlisted_ = false;
    for (std::uint32_t i = 0; i < plan_.channel_count; ++i) {
        channel_waiter& each = *plan_.channels[i];
        brief_guard const guard(each.core().lock_);
        if (each.is_linked()) {
            each.unlink();  // keeps I3
        }
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

void select_site::wake() noexcept {
    if (plan_.foreign_count == 0) {
        resume();
        return;
    }
    foreign_context_.own_stop.request_stop();  // keeps I4
    if (leave(1)) {
        resume();
    }
}

void select_site::foreign_done(std::uint32_t branch, bool stopped) noexcept {
    std::uint32_t leaving = 1;
    if (take(claim_word::taken)) {
        winner_ = stopped ? nobody : branch;
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
    waiter.stop_marked_ = winner_ == nobody && !resume_when_stopped_;
    waiter.context_->sched->schedule(waiter);  // the last access
}

}  // namespace weft::detail
