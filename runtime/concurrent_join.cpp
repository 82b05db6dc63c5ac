#include <weft/runtime/concurrent_join.hpp>

#include <weft/runtime/scope.hpp>

namespace weft::detail {

std::coroutine_handle<> concurrent_join::start(promise_base& parent, char const* name) noexcept {
    worker& here = require_worker(name);
    WEFT_ASSERT(first_ != nullptr, "a join of no children begins");
    context_.follow(*parent.context_);
    parent_ = &parent;
    std::uint32_t count = 0;
    for (promise_base* each = first_; each != nullptr; each = each->sibling_) {
        each->carried_ = count++;
    }
    // relaxed: own — published with the children
    remaining_.store(count, relaxed);
    // A child that was made ready may end, and be gone, at once; the first keeps the join alive.
    for (promise_base* each = first_->sibling_; each != nullptr;) {
        promise_base& child = *each;
        each = each->sibling_;
        here.push_ready(child);
    }
    return first_->handle();
}

bool concurrent_join::claim() noexcept {
    // relaxed: claim — the exchange picks one child; what it writes is published by the count (I2)
    return !decided_.exchange(true, relaxed);
}

std::coroutine_handle<> concurrent_join::child_done(completion& base,
                                                    promise_base& child) noexcept {
    auto& self = static_cast<concurrent_join&>(base);
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

bool concurrent_join::was_cut_short() const noexcept {
    // relaxed: observe — ordered by the count (I2)
    return stopped_.load(relaxed) && !is_decided() && parent_->stop().stop_requested();
}

std::coroutine_handle<> concurrent_join::finish() noexcept {
    return !hide_stop_ && was_cut_short() ? pass_stop(*parent_) : parent_->handle();
}

}  // namespace weft::detail
