#include <weft/runtime/when_all.hpp>

#include <weft/runtime/scope.hpp>

namespace weft::detail {

/// The path of a chain that nobody interferes with; every other one is a call in tail position, so
/// that this one saves no registers.
WEFT_NOINLINE std::coroutine_handle<> join_state::child_done(completion& base,
                                                             promise_base& child) noexcept {
    auto& self = static_cast<join_state&>(base);
    if (child.outcome_ != outcome::value) [[unlikely]] {
        return self.unhappy_child_done(child);
    }
    std::uint32_t const finished = child.carried_ + 1;
    if (promise_base* const next = child.sibling_; next != nullptr) {
        worker* const here = this_threads_worker;
        if (here == nullptr) [[unlikely]] {
            self.require_no_pool();
            return self.go_on(child, true);
        }
        claim_status const claim = here->claim_fork(*next);
        if (claim != claim_status::claimed) [[unlikely]] {
            return claim == claim_status::lost ? self.go_on(child, false) : self.settle(child);
        }
        next->carried_ = finished;
        return next->handle();
    }
    if (finished != self.count_ || self.is_unhappy()) [[unlikely]] {
        return self.go_on(child, false);
    }
    return self.parent_->handle();
}

/// Off the workers, a chain may claim only what no worker's deque offers.
void join_state::require_no_pool() const noexcept {
    WEFT_CHECK(context_.sched == nullptr,
               "a coroutine of a runtime is resumed on a thread that is not one of its workers");
}

std::coroutine_handle<> join_state::unhappy_child_done(promise_base& child) noexcept {
    // relaxed: publish — ordered by the count that follows (I3)
    unhappy_.store(true, relaxed);
    context_.own_stop.request_stop();  // keeps I4
    promise_base* const next = child.sibling_;
    worker* const here = this_threads_worker;
    if (next == nullptr) {
        return go_on(child, false);
    }
    if (here == nullptr) {
        require_no_pool();
        return go_on(child, true);
    }
    claim_status const claim = here->claim_fork(*next);
    return claim == claim_status::undecided ? settle(child)
                                            : go_on(child, claim == claim_status::claimed);
}

std::coroutine_handle<> join_state::settle(promise_base& child) noexcept {
    return go_on(child, this_threads_worker->settle_claim());
}

/// The chain of `child` runs the next child if it has claimed it, and ends otherwise.
std::coroutine_handle<> join_state::go_on(promise_base& child, bool claimed) noexcept {
    std::uint32_t const finished = child.carried_ + 1;
    if (claimed) {
        child.sibling_->carried_ = finished;
        return child.sibling_->handle();
    }
    // acq_rel: count — publish this chain's results and observe the others' when last (I3); pairs
    // with itself
    if (finished != count_ && remaining_.fetch_sub(finished, acq_rel) != finished) {
        return std::noop_coroutine();
    }
    return is_unhappy() ? finish_unhappy() : parent_->handle();
}

std::coroutine_handle<> join_state::finish_unhappy() noexcept {
    bool stopped = false;
    for (promise_base* each = first_; each != nullptr; each = each->sibling_) {
        if (each->outcome_ == outcome::error) {
            return parent_->handle();
        }
        stopped = stopped || each->outcome_ == outcome::stopped;
    }
    return stopped ? pass_stop(*parent_) : parent_->handle();
}

}  // namespace weft::detail
