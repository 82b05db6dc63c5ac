#include <weft/runtime/join/detail/start_all_join.hpp>

#include <weft/runtime/sched/make_ready.hpp>
#include <weft/runtime/sched/pass_stop.hpp>

namespace weft::detail {

std::coroutine_handle<> start_all_join::start(promise_base& parent, char const* name) noexcept {
    context_.follow(*parent.context_);
    parent_ = &parent;
    std::uint32_t count = 0;
    for (promise_base* each = first_; each != nullptr; each = each->sibling_) {
        each->child_index_ = count++;
    }
    if (first_ == nullptr || parent.stop().stop_requested()) [[unlikely]] {
        return start_nothing();
    }
    worker& here = require_worker(name);
    // relaxed: own — published with the children
    remaining_.store(count, relaxed);
    // A child that was made ready may end, and be gone, at once; the first keeps the join alive.
    for (promise_base* each = first_->sibling_; each != nullptr;) {
        promise_base& child = *each;
        each = each->sibling_;
        make_ready_here(here, child);
    }
    return continue_inline(*first_);
}

/// There are no children, or the parent is stopped already: they end without a start (S2 of
/// promise.hpp).
std::coroutine_handle<> start_all_join::start_nothing() noexcept {
    // relaxed: own — no child is known to anybody else
    stopped_.store(true, relaxed);
    for (promise_base* each = first_; each != nullptr;) {
        promise_base& child = *each;
        each = each->sibling_;
        child.outcome_ = outcome::stopped;
        (void)settle_(*this, child);
    }
    return finish();
}

bool start_all_join::claim() noexcept {
    // relaxed: claim — the exchange picks one child; what it writes is published by the count (I2)
    return !decided_.exchange(true, relaxed);
}

std::coroutine_handle<> start_all_join::child_done(end_hook& base, promise_base& child) noexcept {
    auto& self = static_cast<start_all_join&>(base);
    if (child.outcome_ == outcome::stopped) {
        // relaxed: publish — ordered by the count that follows (I2)
        self.stopped_.store(true, relaxed);
    }
    if (stop_kind const reason = self.settle_(self, child); reason != stop_kind::none) {
        self.context_.own_stop.request_stop(reason);  // keeps I1: before our own subtraction
    }
    // acq_rel: count — publish this child's outcome, and observe the others' when last (I2); pairs
    // with itself
    if (self.remaining_.fetch_sub(1, acq_rel) != 1) {
        return std::noop_coroutine();
    }
    return self.finish();
}

bool start_all_join::was_cut_short() const noexcept {
    // relaxed: observe — ordered by the count (I2)
    return stopped_.load(relaxed) && !is_decided() && parent_->stop().stop_requested();
}

std::coroutine_handle<> start_all_join::finish() noexcept {
    return was_cut_short() ? end_by_stop(*parent_, when_stopped_) : go_on(*parent_);
}

}  // namespace weft::detail
