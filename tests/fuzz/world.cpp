#include <weft/tests/fuzz/world.hpp>

#include <exception>
#include <utility>

namespace weft::fuzz {
namespace {

using namespace std::chrono_literals;

circuit_breaker_options breaker_options(clock::duration unit) {
    circuit_breaker_options options;
    options.window_calls = 4;
    options.minimum_calls = 2;
    options.open_for = 20 * unit;
    return options;
}

bulkhead_options places_options() {
    bulkhead_options options;
    options.concurrent = bulkhead_places;
    options.queued = 2;
    return options;
}

debounce_options debounce_by(clock::duration unit) {
    debounce_options options;
    options.quiet = 5 * unit;
    options.longest = 20 * unit;
    return options;
}

throttle_options throttle_by(clock::duration unit) {
    throttle_options options;
    options.interval = 5 * unit;
    options.trailing = true;
    return options;
}

/// In virtual time a millisecond costs nothing.
clock::duration unit_of(setting where) {
    return where == setting::virtual_time ? clock::duration(1ms) : clock::duration(20us);
}

rate_limiter_options bucket_options(clock::duration unit) {
    rate_limiter_options options;
    options.limit = 2;
    options.period = 10 * unit;
    options.burst = 2;
    options.longest_wait = 40 * unit;
    options.queued = 6;
    return options;
}

rate_limiter_options window_options(clock::duration unit) {
    rate_limiter_options options;
    options.kind = rate_kind::sliding_window;
    options.limit = 3;
    options.period = 10 * unit;
    options.longest_wait = 40 * unit;
    options.queued = 6;
    return options;
}

work compute(world& here) {
    co_await weft::sleep_for(here.span(1'000));
    co_return here.make(77);
}

[[nodiscard]] work dispatch(world& here, instance& self) {
    kind const what = self.what().what;
    if (what <= kind::stop_point) {
        return do_simple(here, self);
    }
    if (what <= kind::acquire || what == kind::hold) {
        return do_lock(here, self);
    }
    if (what <= kind::close) {
        return do_channel(here, self);
    }
    if (what <= kind::pipe) {
        return do_stream(here, self);
    }
    if (what <= kind::blocking) {
        return do_signal(here, self);
    }
    if (what == kind::select) {
        return do_select(here, self);
    }
    if (what <= kind::read_select) {
        return do_socket(here, self);
    }
    if (what <= kind::as_completed) {
        return do_join(here, self);
    }
    if (what <= kind::batches) {
        return do_range(here, self);
    }
    if (what <= kind::soft_stop || what == kind::defer || what == kind::remote_spawn ||
        what == kind::gated) {
        return do_scope(here, self);
    }
    return what <= kind::as_result ? do_limit(here, self) : do_policy(here, self);
}

}  // namespace

world::world(setting place, account& record, test::object_count& count)
    : where(place)
    , book(record)
    , objects(count)
    , letters(record)
    , root(record)
    , channels{{watched_channel<channel<parcel>>(std::size_t{2}, full_policy::wait),
                watched_channel<channel<parcel>>(std::size_t{0}, full_policy::wait),
                watched_channel<channel<parcel>>(std::size_t{1}, full_policy::drop_oldest),
                watched_channel<channel<parcel>>(std::size_t{1}, full_policy::drop_newest),
                watched_channel<channel<parcel>>(std::size_t{1}, full_policy::fail)}}
    , priority(std::size_t{2})
    , latest(make(0))
    , computed([this] { return compute(*this); })
    , breaker(breaker_options(unit_of(place)))
    , places(places_options())
    , bucket(bucket_options(unit_of(place)))
    , window(window_options(unit_of(place)))
    , last_call(debounce_by(unit_of(place)))
    , first_call(throttle_by(unit_of(place))) {
    if (where == setting::sockets) {
        listener.emplace(address::loopback_v4(0));
    }
}

world::~world() = default;

template <class Channel>
void world::drain(watched_channel<Channel>& from, unsigned number) {
    for (;;) {
        result<parcel> left = from.channel.try_recv();
        if (!left.has_value()) {
            break;
        }
        letters.received(left->value, number);
    }
    letters.settle(number, from.channel.dropped_count());
}

template <class Channel>
void world::expect_served(watched_channel<Channel>& from, unsigned number) {
    std::string const name = "channel " + std::to_string(number);
    if (from.receivers != 0 && !from.channel.empty()) {
        book.fail(name + " holds a value, and a receiver waits");
    }
    if (from.senders != 0 && from.channel.size() < from.channel.capacity()) {
        book.fail(name + " has room, and a sender waits");
    }
    if (from.channel.is_closed() && (from.senders != 0 || from.receivers != 0)) {
        book.fail(name + " is closed, and somebody waits");
    }
}

void world::expect_nobody_forgotten() {
    for (watched_mutex& each : mutexes) {
        if (mutex_guard const free = each.lock.try_scoped_lock(); free && each.waiting != 0) {
            book.fail("a mutex is free, and a task waits for it");
        }
    }
    for (watched_shared_mutex& each : shared_mutexes) {
        if (each.waiting_readers + each.waiting_writers == 0) {
            continue;
        }
        if (each.lock.try_lock()) {
            each.lock.unlock();
            book.fail("a shared_mutex is free, and a task waits for it");
        }
    }
    if (waiting_for_permits != 0 && permits.available() == semaphore_permits) {
        book.fail("a semaphore has all permits, and a task waits for some");
    }
    if (waiting_for_bell != 0 && bell.is_set()) {
        book.fail("an auto_reset_event is set, and a task waits for it");
    }
    if (waiting_for_gate != 0 && gate.is_set()) {
        book.fail("a manual_reset_event is set, and a task waits for it");
    }
    for (unsigned i = 0; i != channels.size(); ++i) {
        expect_served(channels[i], i);
    }
    expect_served(unbounded, 5);
    expect_served(priority, 6);
}

void world::settle() {
    for (unsigned i = 0; i != channels.size(); ++i) {
        drain(channels[i], i);
    }
    drain(unbounded, 5);
    drain(priority, 6);
    for (watched_mutex& each : mutexes) {
        if (!each.lock.try_lock()) {
            book.fail("a mutex is held, and everybody has gone");
        } else {
            each.lock.unlock();
        }
    }
    for (watched_shared_mutex& each : shared_mutexes) {
        if (!each.lock.try_lock()) {
            book.fail("a shared_mutex is held, and everybody has gone");
        } else {
            each.lock.unlock();
        }
    }
    if (!condition_lock.try_lock()) {
        book.fail("the mutex of a condition is held, and everybody has gone");
    } else {
        condition_lock.unlock();
    }
    if (permits.available() != semaphore_permits) {
        book.fail("a semaphore has lost permits");
    }
    bulkhead_counters const seen = places.counters();
    if (seen.running != 0 || seen.waiting != 0) {
        book.fail("a bulkhead counts calls, and everybody has gone");
    }
    if (bucket.limiter.counters().waiting != 0 || window.limiter.counters().waiting != 0) {
        book.fail("a rate_limiter counts calls, and everybody has gone");
    }
    if (flights.counters().in_flight != 0) {
        book.fail("a single_flight counts a flight, and everybody has gone");
    }
    root.expect_alone("at the end");
}

work run(world& here, node const& what, frame_mark parent) {
    instance self(here.book, what, parent.parent());
    stop_token const stop = co_await this_task::stop_token();
    self.follow(stop);
    try {
        work doing = dispatch(here, self);
        parcel made = co_await std::move(doing);
        self.ended(outcome::of_value(made.value));
        co_return made;
    } catch (...) {
        self.ended(outcome::of_errors(numbers_of(std::current_exception())));
        throw;
    }
}

std::vector<work> run_children(world& here, instance& self, std::size_t first) {
    std::vector<work> children;
    for (std::size_t i = first; i != self.what().children.size(); ++i) {
        children.push_back(run_child(here, self, i));
    }
    return children;
}

}  // namespace weft::fuzz
