// Events, latches, barriers, conditions, what is done once, and calls on other threads.

#include <weft/tests/fuzz/world.hpp>

#include <chrono>
#include <utility>

namespace weft::fuzz {
namespace {

work set_event(world& here, instance& self) {
    co_await weft::sleep_for(here.span(self.what().b));
    if (self.what().a % 2 == 0) {
        here.bell.set();
    } else {
        here.gate.set();
    }
    co_return here.make(0);
}

work await_event(world& here, instance& self) {
    if (self.what().a % 2 == 0) {
        inside const waiting(here.waiting_for_bell);
        co_await here.bell.wait();
    } else {
        inside const waiting(here.waiting_for_gate);
        co_await here.gate.wait();
    }
    co_return here.make(1);
}

work reset_event(world& here, instance& self) {
    co_await weft::sleep_for(here.span(self.what().b));
    if (self.what().a % 2 == 0) {
        here.bell.reset();
    } else {
        here.gate.reset();
    }
    co_return here.make(0);
}

work count_down_once(world& here, instance& self) {
    co_await weft::sleep_for(here.span(self.what().b));
    if (here.to_count.fetch_sub(1) > 0) {
        here.countdown.count_down();
    }
    co_return here.make(0);
}

work wait_for_latch(world& here, instance& self) {
    co_await here.countdown.wait();
    if (!here.countdown.is_open()) {
        here.book.fail(self.what(), "a latch has let somebody through and is not open");
    }
    co_return here.make(1);
}

work meet(world& here, instance&) {
    semaphore_permit const seat = co_await here.seats.scoped_acquire();
    co_await here.meeting.arrive_and_wait();
    co_return here.make(1);
}

work change(world& here, instance& self) {
    co_await weft::sleep_for(here.span(self.what().b));
    mutex_guard guard = co_await here.condition_lock.scoped_lock();
    ++here.changes;
    guard.unlock();
    if (self.what().a % 2 == 0) {
        here.changed.notify_one();
    } else {
        here.changed.notify_all();
    }
    co_return here.make(0);
}

/// The mutex is held when the wait has ended, whatever the way.
work wait_for_change(world& here, instance& self) {
    mutex_guard guard = co_await here.condition_lock.scoped_lock();
    int const wanted = here.changes + static_cast<int>(self.what().b);
    auto const has_changed = [&here, wanted] { return here.changes >= wanted; };
    if (self.what().a % 2 == 0) {
        co_await here.changed.wait(guard, has_changed);
        if (!has_changed()) {
            here.book.fail(self.what(), "the predicate of a wait does not hold after it");
        }
    } else {
        result<void> const ended = co_await (here.changed.wait(guard, has_changed) | as_result);
        if (ended.has_value() && !has_changed()) {
            here.book.fail(self.what(), "the predicate of a wait does not hold after it");
        }
    }
    if (!guard || here.condition_lock.try_lock()) {
        here.book.fail(self.what(), "a wait has ended without the mutex");
    }
    co_return here.make(here.changes >= wanted ? 1 : 0);
}

work call_first(world& here, instance& self) {
    bool ran = false;
    auto const body = [&here, &self, &ran] {
        ran = true;
        return run_child(here, self, 0);
    };
    co_await here.first.call(body);
    if (!here.first.is_done()) {
        here.book.fail(self.what(), "a once has let somebody through and is not done");
    }
    co_return here.make(ran ? 1 : 0);
}

work ask_lazily(world& here, instance&) {
    parcel const& value = co_await here.computed.value();
    co_return here.make(value.value);
}

/// Takes real time, since it runs on a thread of its own.
work call_elsewhere(world& here, instance& self) {
    auto const busy = std::chrono::nanoseconds(self.what().b % 50'000);
    bool const gives_up = self.what().a % 4 == 0;
    auto const call = [busy, gives_up](stop_token stop) {
        auto const end = std::chrono::steady_clock::now() + busy;
        while (std::chrono::steady_clock::now() < end && !stop.stop_requested()) {
        }
        if (gives_up) {
            throw std::system_error(leaf_error(9));
        }
        return 3;
    };
    auto doing = blocking(here.pool, call);
    int const value = co_await std::move(doing);
    co_return here.make(value);
}

}  // namespace

work do_signal(world& here, instance& self) {
    switch (self.what().what) {
        case kind::signal:
            return set_event(here, self);
        case kind::await_signal:
            return await_event(here, self);
        case kind::reset_signal:
            return reset_event(here, self);
        case kind::count_down:
            return count_down_once(here, self);
        case kind::await_latch:
            return wait_for_latch(here, self);
        case kind::arrive:
            return meet(here, self);
        case kind::notify:
            return change(here, self);
        case kind::condition:
            return wait_for_change(here, self);
        case kind::call_once:
            return call_first(here, self);
        case kind::get_lazy:
            return ask_lazily(here, self);
        default:
            return call_elsewhere(here, self);
    }
}

}  // namespace weft::fuzz
