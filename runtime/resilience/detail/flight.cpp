#include <weft/runtime/resilience/detail/flight.hpp>

#include <weft/runtime/sched/make_ready.hpp>
#include <weft/runtime/sched/pass_stop.hpp>
#include <weft/runtime/sched/scheduler.hpp>

#include <new>
#include <system_error>

namespace weft::detail {

namespace {

/// Of all boards: flights of different ones may wait for each other.
struct flight_graph {
    mutex mutex_;
    std::uint64_t searches = 0;  // under mutex_
};

/// Never destroyed: a flight may land after the statics are gone.
flight_graph& graph() noexcept {
    alignas(flight_graph) static unsigned char place[sizeof(flight_graph)];
    static flight_graph* const instance = ::new (static_cast<void*>(place)) flight_graph;
    return *instance;
}

}  // namespace

void flight::share() noexcept {
    // relaxed: count — the caller's own reference keeps the flight alive
    references_.fetch_add(1, relaxed);
}

void flight::drop() noexcept {
    // acq_rel: count — publish what this holder did, and observe what the others did when it is the
    // last; pairs with itself
    if (references_.fetch_sub(1, acq_rel) == 1) {
        dispose_(*this);
    }
}

/// Requires: the board's mutex is held.
void flight::remove_from_list() noexcept {
    if (listed_) {
        listed_ = false;
        unlist_(*this);
        --board_->counters.in_flight;
    }
}

/// Requires: the board's mutex is held. What a participant does that is stopped; after `abandon`
/// the caller has a reference and asks the work to stop.
flight::departure flight::depart() noexcept {
    if (done_) {
        return departure::stay;  // keeps I2
    }
    if (participants_ > 1) {
        --participants_;
        ++board_->counters.left;
        return departure::leave;
    }
    remove_from_list();  // keeps I3
    ++board_->counters.abandoned;
    share();
    return departure::abandon;
}

void flight::land(outcome how, std::exception_ptr error) noexcept {
    intrusive_list<flight_wait> landed;
    {
        scoped_lock const lock(board_->mutex_);
        remove_from_list();
        outcome_ = how;
        error_ = std::move(error);
        done_ = true;
        landed.splice_back(waiting_);
    }
    while (flight_wait* const each = landed.pop_front()) {  // keeps I1: not the board any more
        make_ready(*each->waiter_);
    }
}

std::exception_ptr flight::take_error() noexcept {
    scoped_lock const lock(board_->mutex_);
    return --participants_ == 0 ? std::move(error_) : error_;  // keeps I5
}

/// Requires: the graph's mutex is held.
bool flight::reaches(flight const& goal) noexcept {
    std::uint64_t const search = ++graph().searches;
    searched_in_ = search;
    next_to_search_ = nullptr;
    for (flight* rest = this; rest != nullptr;) {
        flight& here = *rest;
        rest = here.next_to_search_;
        if (&here == &goal) {
            return true;
        }
        for (flight_edge* each = here.waits_for_.front(); each != nullptr;
             each = here.waits_for_.after(*each)) {
            flight& next = *each->target_;
            if (next.searched_in_ != search) {
                next.searched_in_ = search;
                next.next_to_search_ = rest;
                rest = &next;
            }
        }
    }
    return false;
}

/// keeps I6
bool flight_edge::connect(flight& source, flight& target) noexcept {
    scoped_lock const lock(graph().mutex_);
    if (target.reaches(source)) {
        return false;
    }
    target.share();
    target_ = &target;
    source.waits_for_.push_back(*this);
    return true;
}

flight_edge::~flight_edge() {
    if (target_ == nullptr) {
        return;
    }
    {
        scoped_lock const lock(graph().mutex_);
        unlink();
    }
    target_->drop();
}

bool flight_wait::begin(promise_base& waiter) noexcept {
    waiter_ = &waiter;
    bool const may_go_on = enroll(&waiter.stop());
    flight& target = *flight_;
    auto what = flight::departure::stay;
    {
        scoped_lock const lock(target.board_->mutex_);
        if (target.done_) {
            return false;
        }
        if (!may_go_on || stop_came_) {
            what = target.depart();
        }
        if (what != flight::departure::leave) {
            target.waiting_.push_back(*this);
        }
    }
    // Unless it leaves, the coroutine may run, and this operation be gone.
    if (what == flight::departure::leave) {
        make_ready(waiter, wake_as::unwind);
    } else if (what == flight::departure::abandon) {
        target.stop_.request_stop();
        target.drop();
    }
    return true;
}

void flight_wait::on_stop(stop_node& node) noexcept {
    auto& self = static_cast<flight_wait&>(node);
    flight& target = *self.flight_;
    auto what = flight::departure::stay;
    {
        scoped_lock const lock(target.board_->mutex_);
        self.stop_came_ = true;
        if (target.done_ || !self.is_linked()) {
            return;  // the flight has landed (I2), or begin() sees to it
        }
        what = target.depart();
        if (what == flight::departure::leave) {
            self.unlink();
        }
    }
    if (what == flight::departure::leave) {
        make_ready(*self.waiter_, wake_as::unwind);
    } else if (what == flight::departure::abandon) {
        target.stop_.request_stop();
        target.drop();
    }
}

void throw_waits_for_itself() {
    throw std::system_error(std::make_error_code(std::errc::resource_deadlock_would_occur),
                            "single_flight");
}

}  // namespace weft::detail
