// Locks and permits, held across waits.

#include <weft/tests/fuzz/world.hpp>

#include <utility>

namespace weft::fuzz {
namespace {

/// Holds a mutex that it has, while `time` passes.
task<> stay_inside(world& here, instance& self, watched_mutex& target) {
    inside const holding(target.holders);
    if (holding.seen() != 1) {
        here.book.fail(self.what(), "two hold a mutex");
    }
    co_await weft::sleep_for(here.span(self.what().b));
}

/// Its holder has the mutex now.
void expect_turn(world& here, instance& self, waiting_line::place const& waited) {
    if (here.runs_in_order && !waited.is_first()) {
        here.book.fail(self.what(), "a task has overtaken another that waited for the mutex");
    }
}

work lock_of(world& here, instance& self) {
    watched_mutex& target = here.mutexes[self.what().a % here.mutexes.size()];
    mutex_guard guard;
    {
        inside const waiting(target.waiting);
        waiting_line::place const turn(target.line);
        guard = co_await target.lock.scoped_lock();
        expect_turn(here, self, turn);
    }
    task<> staying = stay_inside(here, self, target);
    co_await std::move(staying);
    co_return here.make(1);
}

/// What a lock by hand needs: a stop that has been told once unwinds.
class unlock_at_end {
public:
    explicit unlock_at_end(mutex& locked) noexcept : held_(&locked) {}

    unlock_at_end(unlock_at_end const&) = delete;
    unlock_at_end& operator=(unlock_at_end const&) = delete;

    ~unlock_at_end() { held_->unlock(); }

private:
    mutex* held_;
};

/// As `co_await lock()`, with the result form.
work lock_by_hand_of(world& here, instance& self) {
    watched_mutex& target = here.mutexes[self.what().a % here.mutexes.size()];
    result<void> locked = failure(std::errc::operation_canceled);
    {
        inside const waiting(target.waiting);
        waiting_line::place const turn(target.line);
        locked = co_await (target.lock.lock() | as_result);
        if (locked.has_value()) {
            expect_turn(here, self, turn);
        }
    }
    if (!locked.has_value()) {
        co_return here.make(0);
    }
    unlock_at_end const unlocks(target.lock);
    task<> staying = stay_inside(here, self, target);
    result<void> const stayed = co_await as_result(std::move(staying));
    co_return here.make(stayed.has_value() ? 1 : 2);
}

work try_lock_of(world& here, instance& self) {
    watched_mutex& target = here.mutexes[self.what().a % here.mutexes.size()];
    mutex_guard const guard = target.lock.try_scoped_lock();
    if (!guard) {
        co_return here.make(0);
    }
    task<> staying = stay_inside(here, self, target);
    co_await std::move(staying);
    co_return here.make(1);
}

/// A child below the guard: what it leaves behind when it is stopped, whoever waits for the mutex
/// must not see.
work hold_of(world& here, instance& self) {
    watched_mutex& target = here.mutexes[self.what().a % here.mutexes.size()];
    mutex_guard guard;
    {
        inside const waiting(target.waiting);
        waiting_line::place const turn(target.line);
        guard = co_await target.lock.scoped_lock();
        expect_turn(here, self, turn);
    }
    inside const holding(target.holders);
    if (holding.seen() != 1) {
        here.book.fail(self.what(), "two hold a mutex");
    }
    work doing = run_child(here, self, 0);
    co_return co_await std::move(doing);
}

work read_of(world& here, instance& self) {
    watched_shared_mutex& target = here.shared_mutexes[self.what().a % 2];
    shared_guard guard;
    {
        inside const waiting(target.waiting_readers);
        guard = co_await target.lock.scoped_lock_shared();
    }
    inside const reading(target.readers);
    if (target.writers != 0) {
        here.book.fail(self.what(), "a reader is inside beside a writer");
    }
    co_await weft::sleep_for(here.span(self.what().b));
    if (target.writers != 0) {
        here.book.fail(self.what(), "a writer has come in beside a reader");
    }
    co_return here.make(1);
}

work write_of(world& here, instance& self) {
    watched_shared_mutex& target = here.shared_mutexes[self.what().a % 2];
    shared_mutex_guard guard;
    {
        inside const waiting(target.waiting_writers);
        guard = co_await target.lock.scoped_lock();
    }
    inside const writing(target.writers);
    if (writing.seen() != 1 || target.readers != 0) {
        here.book.fail(self.what(), "a writer is not alone");
    }
    co_await weft::sleep_for(here.span(self.what().b));
    if (target.writers != 1 || target.readers != 0) {
        here.book.fail(self.what(), "somebody has come in beside a writer");
    }
    co_return here.make(1);
}

work acquire_of(world& here, instance& self) {
    auto const count = 1 + self.what().a % semaphore_permits;
    semaphore_permit permit;
    {
        inside const waiting(here.waiting_for_permits);
        permit = co_await here.permits.scoped_acquire(count);
    }
    inside const taken(here.permits_taken, static_cast<int>(count));
    if (taken.seen() > static_cast<int>(semaphore_permits)) {
        here.book.fail(self.what(), "more permits are taken than there are");
    }
    co_await weft::sleep_for(here.span(self.what().b));
    co_return here.make(1);
}

}  // namespace

work do_lock(world& here, instance& self) {
    switch (self.what().what) {
        case kind::lock:
            return self.what().a / 2 % 3 == 0 ? lock_by_hand_of(here, self) : lock_of(here, self);
        case kind::try_lock:
            return try_lock_of(here, self);
        case kind::hold:
            return hold_of(here, self);
        case kind::read:
            return read_of(here, self);
        case kind::write:
            return write_of(here, self);
        default:
            return acquire_of(here, self);
    }
}

}  // namespace weft::fuzz
