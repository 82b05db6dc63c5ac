#include <weft/runtime/join/detail/fork_join.hpp>

#include <weft/runtime/sched/make_ready.hpp>
#include <weft/runtime/sched/pass_stop.hpp>

#include <new>
#include <utility>

#include <sched.h>

namespace weft::detail {

namespace {

/// Children that shall run on this thread, which is no worker, when its stack is short again.
WEFT_STATIC_TLS constinit thread_local runnable* postponed = nullptr;

}  // namespace

WEFT_STATIC_TLS constinit thread_local std::uintptr_t nesting_floor = ~std::uintptr_t{0};

void run_apart(promise_base& promise) noexcept {
    std::uintptr_t const outer_child = std::exchange(nested_child, 0);
    std::uintptr_t const outer_floor = std::exchange(nesting_floor, ~std::uintptr_t{0});
    runnable* const outer_postponed = std::exchange(postponed, nullptr);
    promise_base** const outer_unwinding = std::exchange(unwound_next, nullptr);
    promise.handle().resume();
    nested_child = outer_child;
    nesting_floor = outer_floor;
    postponed = outer_postponed;
    unwound_next = outer_unwinding;
}

void run_within(promise_base& promise) noexcept {
    std::uintptr_t const outer = std::exchange(nested_child, names_nobody);  // keeps I5
    promise.handle().resume();
    nested_child = outer;
}

bool can_run_within() noexcept {
    return current_worker() != nullptr && fork_join::claim_stack_room(nested_child);
}

std::coroutine_handle<> fork_join::end_child(promise_base& child, settle_function settle) noexcept {
    bool const is_nested = (nested_child & ~std::uintptr_t{1}) == child.frame_address();
    if (is_nested) {
        nested_child = names_nobody;  // the frame's address may serve another soon
    }
    outcome const ended = settle(*this, child);
    if (ended != outcome::value) [[unlikely]] {
        note_unhappy(ended);
    } else if (is_nested) {
        nested_child = 0;
        return std::noop_coroutine();
    }
    // acq_rel: count — publish this child's result and observe the others' when last (I3); pairs
    // with itself and with leave()
    if ((state_.fetch_sub(1, acq_rel) & count_mask) != 1) {
        return std::noop_coroutine();
    }
    return passes_stop() ? pass_stop(*parent_) : continue_inline(*parent_);
}

bool fork_join::claim(promise_base& child) noexcept {
    worker& here = *this_threads_worker;
    claim_status const claimed = here.claim_fork(child);
    return claimed == claim_status::claimed ||
           (claimed == claim_status::undecided && here.resolve_claim());
}

/// The parent gives its share. False when it shall go on.
bool fork_join::leave(std::size_t done) noexcept {
    std::uint64_t const share = done + 1;
    // acq_rel: count — publish the nested children's results and observe the others' when last
    // (I3); pairs with itself and with end_child()
    std::uint64_t const before =
        state_.fetch_add(left_bit + (std::uint64_t{done} << nested_shift) - share, acq_rel);
    if ((before & count_mask) != share) {
        return true;
    }
    if (!passes_stop()) {
        return false;
    }
    if (current_worker() == nullptr) {
        parent_->wake_as_ = wake_as::unwind;  // unwound from here, it would go on above this call
        postpone(*parent_);
    } else {
        pass_stop(*parent_).resume();
    }
    return true;
}

void fork_join::note_error(std::size_t index, std::exception_ptr error) noexcept {
    // acquire: observe the error of who held the lock before; pairs with release below
    std::uint64_t before = state_.fetch_or(error_lock_bit, acquire);
    while ((before & error_lock_bit) != 0) {
        cpu_relax();
        ::sched_yield();
        // acquire: observe the error of who held the lock before; pairs with release below
        before = state_.fetch_or(error_lock_bit, acquire);
    }
    if ((before & failed_bit) == 0) {
        ::new (static_cast<void*>(&error_.value)) std::exception_ptr(std::move(error));
        error_index_ = static_cast<std::uint32_t>(index);
    } else if (index < error_index_) {
        error_.value.swap(error);  // what it was ends after the lock
        error_index_ = static_cast<std::uint32_t>(index);
    }
    // release: publish the error and give the lock back; pairs with the acquires above
    state_.fetch_add(((before & failed_bit) == 0 ? failed_bit : 0) - error_lock_bit, release);
}

void fork_join::note_unhappy(outcome ended) noexcept {
    bool const failed = ended == outcome::error;
    if (!failed) {
        // relaxed: publish — ordered by the count that follows (I3)
        state_.fetch_or(stopped_bit, relaxed);
    }
    (void)inherited();
    context_.value.own_stop.request_stop(failed ? stop_kind::sibling_failed
                                                : stop_kind::requested);  // keeps I4
}

bool fork_join::was_stopped() const noexcept {
    // relaxed: observe — ordered by the count (I3)
    return (state_.load(relaxed) & (failed_bit | stopped_bit)) == stopped_bit;
}

/// After the join: its stop is the parent's.
bool fork_join::passes_stop() const noexcept {
    // relaxed: observe — ordered by the count (I3)
    return was_stopped() &&
           take_stop(*parent_,
                     (state_.load(relaxed) & tells_stop_bit) != 0 ? when_stopped::tell
                                                                  : when_stopped::unwind);
}

std::exception_ptr fork_join::error() const noexcept {
    // relaxed: observe — ordered by the count (I3)
    return (state_.load(relaxed) & failed_bit) != 0 ? error_.value : nullptr;
}

void fork_join::rethrow_error() const {
    if (std::exception_ptr const error = this->error()) {
        std::rethrow_exception(error);
    }
}

/// Off the workers, a join may run only what no worker's deque offers.
void fork_join::require_no_pool() const noexcept {
    WEFT_CHECK(parent_->context_->sched == nullptr,
               "a coroutine of a runtime is resumed on a thread that is not one "
               "of its workers");
}

void fork_join::postpone(promise_base& child) noexcept {
    child.next = postponed;
    postponed = &child;
}

void fork_join::run_postponed() noexcept {
    while (runnable* const item = postponed) {
        postponed = item->next;
        detail::run(promise_base::from(*item));
    }
}

/// The parent is suspended here, and it is late to make contexts: whoever needed one has made it.
bool fork_join::is_parent_stopped() const noexcept {
    for (context_ref around = parent_->context_;;) {
        fork_join* const outer = around.join();
        if (outer == nullptr) {
            return around->stop->stop_requested();
        }
        // acquire: observe the context; pairs with make_context():publish
        if ((outer->state_.load(acquire) & context_made_bit) != 0) {
            return outer->context_.value.own_stop.stop_requested();
        }
        around = outer->parent_->context_;
    }
}

context const& fork_join::inherited() noexcept {
    // acquire: observe the context; pairs with make_context():publish
    if ((state_.load(acquire) & context_made_bit) == 0) {
        make_context();
    }
    return context_.value;
}

/// Claims the contexts that are missing from here upwards, and makes them from above downwards.
/// Whoever finds one claimed waits for it; waits go upwards only.
void fork_join::make_context() noexcept {
    fork_join* below = nullptr;
    context const* above = nullptr;
    for (fork_join* each = this;;) {
        // acquire: claim the making, or observe who was faster; pairs with itself and publish below
        std::uint64_t const before = each->state_.fetch_or(context_claimed_bit, acquire);
        if ((before & context_claimed_bit) == 0) {
            each->context_.below = below;
            below = each;
            context_ref const outer = each->parent_->context_;
            if (fork_join* const outer_join = outer.join(); outer_join != nullptr) {
                each = outer_join;
                continue;
            }
            above = outer;
            break;
        }
        // acquire: observe the context; pairs with publish below
        while ((each->state_.load(acquire) & context_made_bit) == 0) {
            cpu_relax();
            ::sched_yield();
        }
        above = &each->context_.value;
        break;
    }
    while (below != nullptr) {
        fork_join& each = *below;
        below = each.context_.below;
        ::new (static_cast<void*>(&each.context_.value)) stop_context(*above);
        above = &each.context_.value;
        // release: publish the context; pairs with inherited() and with the loop above
        each.state_.fetch_or(context_made_bit, release);
    }
}

void fork_join::clean_up_made() noexcept {
    // relaxed: own — nobody else is left
    std::uint64_t const state = state_.load(relaxed);
    if ((state & failed_bit) != 0) {
        error_.value.~exception_ptr();
    }
    if ((state & context_made_bit) != 0) {
        context_.value.~stop_context();
    }
}

context const* context_ref::of_join() const noexcept {
    return &join()->inherited();
}

}  // namespace weft::detail
