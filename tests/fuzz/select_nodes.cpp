// Selects over branches of every sort.

#include <weft/runtime/scope/scope.hpp>
#include <weft/sync/select.hpp>
#include <weft/tests/fuzz/world.hpp>

#include <utility>

namespace weft::fuzz {
namespace {

task<> stay_with(world& here, instance& self, watched_mutex& target) {
    inside const holding(target.holders);
    if (holding.seen() != 1) {
        here.book.fail(self.what(), "two hold a mutex");
    }
    co_await weft::sleep_for(here.span(self.what().b));
}

void take_letter(world& here, instance& self, std::optional<parcel> const& got, unsigned channel) {
    if (!got.has_value()) {
        return;
    }
    here.letters.received(got->value, channel);
    if (here.letters.sender_of(got->value) < 0) {
        here.book.fail(self.what(), "a select gives a value that nobody has sent");
    }
}

work lock_or_bell_or_task(world& here, instance& self) {
    watched_mutex& target = here.mutexes[self.what().b % 2];
    work child = run_child(here, self, 0);
    std::size_t index = 0;
    mutex_guard guard;
    {
        inside const for_lock(target.waiting);
        inside const for_bell(here.waiting_for_bell);
        auto won = co_await select(target.lock.scoped_lock(), here.bell.wait(), std::move(child));
        index = won.index();
        if (index == 0) {
            guard = std::move(won.get<0>());
        }
    }
    if (self.children() != 0) {
        here.book.fail(self.what(), "a branch that has lost is alive");
    }
    if (guard) {
        task<> staying = stay_with(here, self, target);
        co_await std::move(staying);
    }
    co_return here.make(static_cast<int>(index));
}

work recv_or_task_or_sleep(world& here, instance& self) {
    work child = run_child(here, self, 0);
    std::size_t index = 0;
    {
        auto& source = here.channels[0];
        inside const waiting(source.receivers);
        auto won = co_await select(
            source.channel.recv(), std::move(child), weft::sleep_for(here.span(self.what().b)));
        index = won.index();
        if (index == 0) {
            take_letter(here, self, won.get<0>(), 0);
        }
    }
    co_return here.make(static_cast<int>(index));
}

/// Sends to one channel or receives from another, never both, with the lot in favour of the first.
work send_or_recv_or_tasks(world& here, instance& self) {
    work left = run_child(here, self, 0);
    work right = run_child(here, self, 1);
    int const sender = here.letters.new_sender();
    int const number = here.letters.issue(sender, 1);
    parcel letter = here.make(number);

    struct at_end {
        ~at_end() {
            if (value.value == parcel::moved_from) {
                here.letters.gone(number);
            } else {
                here.letters.given_back(number);
            }
        }

        world& here;
        parcel& value;
        int number;
    };

    at_end const account_for{here, letter, number};
    std::size_t index = 0;
    {
        auto won = co_await select(biased,
                                   here.channels[1].channel.send(std::move(letter)),
                                   here.channels[3].channel.recv(),
                                   std::move(left),
                                   std::move(right));
        index = won.index();
        if (index == 1) {
            take_letter(here, self, won.get<1>(), 3);
        }
    }
    if ((index == 0) != (letter.value == parcel::moved_from)) {
        here.book.fail(self.what(), "a select has sent, and tells of another branch");
    }
    co_return here.make(static_cast<int>(index));
}

work permits_or_tasks(world& here, instance& self) {
    work left = run_child(here, self, 0);
    work right = run_child(here, self, 1);
    std::size_t index = 9;
    semaphore_permit permit;
    {
        inside const waiting(here.waiting_for_permits);
        auto won = co_await (
            select(here.permits.scoped_acquire(2), std::move(left), std::move(right)) | as_result);
        if (won.has_value()) {
            index = won->index();
            if (index == 0) {
                permit = std::move(won->get<0>());
            }
        }
    }
    if (permit) {
        inside const taken(here.permits_taken, 2);
        if (taken.seen() > static_cast<int>(semaphore_permits)) {
            here.book.fail(self.what(), "more permits are taken than there are");
        }
        co_await weft::sleep_for(here.span(self.what().b));
    }
    co_return here.make(static_cast<int>(index));
}

/// Whatever branch wins, the mutex is held afterwards.
work change_or_task(world& here, instance& self) {
    mutex_guard guard = co_await here.condition_lock.scoped_lock();
    work child = run_child(here, self, 0);
    std::size_t index = 0;
    {
        auto won = co_await select(here.changed.wait(guard), std::move(child));
        index = won.index();
    }
    if (!guard || here.condition_lock.try_lock()) {
        here.book.fail(self.what(), "the wait in a select has ended without the mutex");
    }
    co_return here.make(static_cast<int>(index));
}

work task_or_task(world& here, instance& self) {
    work left = run_child(here, self, 0);
    work right = run_child(here, self, 1);
    int value = 0;
    {
        auto won = co_await select(std::move(left), std::move(right));
        value = won.index() == 0 ? won.get<0>().value : won.get<1>().value;
    }
    co_return here.make(value);
}

work reader_or_others(world& here, instance& self) {
    watched_shared_mutex& target = here.shared_mutexes[self.what().b % 2];
    std::size_t index = 0;
    shared_guard guard;
    {
        inside const for_lock(target.waiting_readers);
        inside const receiving(here.priority.receivers);
        inside const receiving_too(here.channels[2].receivers);
        auto won = co_await select(target.lock.scoped_lock_shared(),
                                   here.countdown.wait(),
                                   here.priority.channel.recv(),
                                   here.channels[2].channel.recv());
        index = won.index();
        if (index == 0) {
            guard = std::move(won.get<0>());
        } else if (index == 2) {
            take_letter(here, self, won.get<2>(), 6);
        } else if (index == 3) {
            take_letter(here, self, won.get<3>(), 2);
        }
    }
    if (guard) {
        inside const reading(target.readers);
        if (target.writers != 0) {
            here.book.fail(self.what(), "a reader is inside beside a writer");
        }
        co_await weft::sleep_for(here.span(self.what().b));
    }
    co_return here.make(static_cast<int>(index));
}

work one_at_once(world& here, instance& self) {
    int value = 0;
    if (auto now = try_select(here.unbounded.channel.recv(), here.channels[4].channel.recv())) {
        if (now->index() == 0) {
            take_letter(here, self, now->get<0>(), 5);
        } else {
            take_letter(here, self, now->get<1>(), 4);
        }
        value = 1;
    }
    co_await yield();
    co_return here.make(value);
}

work join_or_gate(world& here, instance& self, nursery& children) {
    join_handle<parcel> handle = children.spawn(run_child(here, self, 0));
    std::size_t index = 0;
    {
        inside const waiting(here.waiting_for_gate);
        auto won = co_await select(
            handle.join(), here.gate.wait(), weft::sleep_for(here.span(self.what().b)));
        index = won.index();
    }
    handle.request_stop();
    co_return here.make(static_cast<int>(index));
}

work join_or_others(world& here, instance& self) {
    auto const body = [&here, &self](nursery& children) {
        return join_or_gate(here, self, children);
    };
    parcel made = co_await scope(body);
    co_return made;
}

}  // namespace

work do_select(world& here, instance& self) {
    switch (self.what().a % 9) {
        case 0:
            return lock_or_bell_or_task(here, self);
        case 1:
            return recv_or_task_or_sleep(here, self);
        case 2:
            return send_or_recv_or_tasks(here, self);
        case 3:
            return permits_or_tasks(here, self);
        case 4:
            return change_or_task(here, self);
        case 5:
            return reader_or_others(here, self);
        case 6:
            return one_at_once(here, self);
        case 7:
            return join_or_others(here, self);
        default:
            return task_or_task(here, self);
    }
}

}  // namespace weft::fuzz
