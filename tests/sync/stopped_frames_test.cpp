// What a task holds is gone when anybody hears of its end: whoever waits for it, and cannot be
// stopped any more, gets it. So trees of combinators whose leaves hold locks end.

#include <weft/runtime/join/all_settled.hpp>
#include <weft/runtime/join/as_completed.hpp>
#include <weft/runtime/join/when_any.hpp>
#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/ranges/for_each.hpp>
#include <weft/runtime/resilience/hedge.hpp>
#include <weft/runtime/scope/finally.hpp>
#include <weft/runtime/scope/scope.hpp>
#include <weft/runtime/scope/shielded.hpp>
#include <weft/runtime/scope/stop_on.hpp>
#include <weft/runtime/time/timeout.hpp>
#include <weft/sync/locks/condition.hpp>
#include <weft/sync/locks/mutex.hpp>
#include <weft/sync/select.hpp>
#include <weft/tests/support/seed.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <system_error>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using weft::nursery;
using weft::task;
using weft::test::random_numbers;

namespace {

struct place {
    weft::mutex lock;
    weft::condition_variable changed;

    [[nodiscard]] bool is_free() {
        bool const taken = lock.try_lock();
        if (taken) {
            lock.unlock();
        }
        return taken;
    }
};

task<> sleeps(weft::clock::duration nap = 48h) {
    co_await weft::sleep_for(nap);
}

task<> holds(place& at) {
    auto const held = co_await at.lock.scoped_lock();
    co_await weft::sleep_for(48h);
}

/// Wants the lock back on its way out.
task<> waits(place& at) {
    auto held = co_await at.lock.scoped_lock();
    co_await at.changed.wait(held);
}

task<> locks(place& at) {
    auto const held = co_await at.lock.scoped_lock();
}

/// The same.
task<> cleans(place& at) {
    co_await weft::finally(sleeps(), locks(at));
}

/// Ends at once, with the lock among its parameters.
task<> keeps(weft::mutex_guard) {
    co_return;
}

/// Does not hear of the stop, and ends with a lock.
task<weft::mutex_guard> yields_lock(place& at) {
    auto held = co_await at.lock.scoped_lock();
    co_await weft::shielded(1h, sleeps(1ms));
    co_return std::move(held);
}

template <class Body>
void on_pools(Body body) {
    for (unsigned const workers : {1U, 2U}) {
        CAPTURE(workers);
        weft::thread_pool pool({.workers = workers});
        place at;
        pool.block_on(body(at));
        CHECK(at.is_free());
    }
}

/// Stops the task after a moment.
task<> stop_soon(task<> what) {
    (void)co_await weft::as_result(weft::timeout(2ms, std::move(what)));
}

}  // namespace

TEST_SUITE("sync/stopped_frames") {
    TEST_CASE("of two branches of a select that share a lock, neither keeps it from the other") {
        on_pools([](place& at) -> task<> {
            auto waiting = co_await weft::select(waits(at), holds(at), weft::sleep_for(2ms));
            CHECK(waiting.index() == 2);
            auto cleaning = co_await weft::select(cleans(at), holds(at), weft::sleep_for(2ms));
            CHECK(cleaning.index() == 2);
            auto stopped = [](place& of) -> task<> {
                (void)co_await weft::select(waits(of), holds(of));
            };
            co_await stop_soon(stopped(at));
        });
    }

    TEST_CASE("a branch that wins a select keeps no parameter from those that are waited for") {
        on_pools([](place& at) -> task<> {
            auto held = co_await at.lock.scoped_lock();
            auto won = co_await weft::select(weft::biased, cleans(at), keeps(std::move(held)));
            CHECK(won.index() == 1);
        });
    }

    TEST_CASE("what a loser of a select ends with is gone before the others are waited for") {
        on_pools([](place& at) -> task<> {
            auto ends = []() -> task<> { co_return; };
            auto won = co_await weft::select(
                weft::biased, cleans(at), yields_lock(at), sleeps(1ms), ends());
            CHECK(won.index() == 3);
        });
    }

    TEST_CASE("children of a join that share a lock do not keep it from each other") {
        on_pools([](place& at) -> task<> {
            auto all = [](place& of) -> task<> { co_await weft::when_all(waits(of), holds(of)); };
            co_await stop_soon(all(at));
            auto any = [](place& of) -> task<> {
                (void)co_await weft::when_any(waits(of), holds(of), sleeps(2ms));
            };
            co_await any(at);
            auto settled = [](place& of) -> task<> {
                (void)co_await weft::all_settled(waits(of), holds(of));
            };
            co_await stop_soon(settled(at));
        });
    }

    TEST_CASE("a body beside its children keeps no lock from them when it is stopped") {
        on_pools([](place& at) -> task<> {
            auto in_scope = [](place& of) -> task<> {
                auto body = [&of](nursery& n) -> task<> {
                    n.spawn_without_handle(waits(of));
                    co_await weft::yield();
                    co_await holds(of);
                };
                co_await weft::scope(body);
            };
            co_await stop_soon(in_scope(at));
            auto completing = [](place& of) -> task<> {
                std::vector<task<>> children;
                children.push_back(waits(of));
                auto body = [&of](weft::completions<void>&) -> task<> {
                    co_await weft::yield();
                    co_await holds(of);
                };
                co_await weft::as_completed(std::move(children), body);
            };
            co_await stop_soon(completing(at));
        });
    }

    TEST_CASE("lanes and hedged attempts keep no lock from each other") {
        on_pools([](place& at) -> task<> {
            auto lanes = [](place& of) -> task<> {
                auto each = [&of](int i) { return i != 0 ? holds(of) : waits(of); };
                std::vector<int> const both = {0, 1};
                co_await weft::for_each(both, each, {.limit = 2});
            };
            co_await stop_soon(lanes(at));
            auto hedged = [](place& of) -> task<> {
                weft::hedge_options options;
                options.delay = 500us;
                weft::hedge twice(options);
                std::atomic<int> count = 0;
                auto attempt = [&] { return count++ != 0 ? holds(of) : waits(of); };
                co_await twice.run(attempt);
            };
            co_await stop_soon(hedged(at));
        });
    }

    TEST_CASE("a body that has ended keeps no parameter from its children") {
        on_pools([](place& at) -> task<> {
            auto held = co_await at.lock.scoped_lock();
            auto body = [&](nursery& n) {
                n.spawn_without_handle(locks(at));
                return keeps(std::move(held));
            };
            co_await weft::scope(body);
        });
    }

    TEST_CASE("a body that has ended keeps no parameter from its clean-up") {
        on_pools([](place& at) -> task<> {
            auto held = co_await at.lock.scoped_lock();
            co_await weft::finally(keeps(std::move(held)), locks(at));
        });
    }

    TEST_CASE("a task behind a limit or a token is gone when its operation has been awaited") {
        on_pools([](place& at) -> task<> {
            auto limited = weft::timeout(1ms, holds(at));
            bool timed_out = false;
            try {
                co_await limited;
            } catch (std::system_error const& error) {
                timed_out = error.code() == std::errc::timed_out;
            }
            CHECK(timed_out);
            CHECK(at.is_free());

            weft::stop_source source;
            source.request_stop();
            auto stopped = weft::as_result(weft::with_stop_token(source.token(), holds(at)));
            CHECK((co_await stopped).error() == std::errc::operation_canceled);
            CHECK(at.is_free());

            auto told = weft::as_result(keeps(co_await at.lock.scoped_lock()));
            CHECK((co_await told).has_value());
            CHECK(at.is_free());

            auto in_time = weft::timeout(48h, keeps(co_await at.lock.scoped_lock()));
            co_await in_time;
            CHECK(at.is_free());

            auto hidden = weft::shielded(48h, keeps(co_await at.lock.scoped_lock()));
            co_await hidden;
            CHECK(at.is_free());
        });
    }
}

namespace {

task<> both(task<> one, task<> other) {
    co_await weft::when_all(std::move(one), std::move(other));
}

task<> either(task<> one, task<> other) {
    (void)co_await weft::when_any(std::move(one), std::move(other));
}

task<> each_settled(task<> one, task<> other) {
    (void)co_await weft::all_settled(std::move(one), std::move(other));
}

task<> selected(task<> one, task<> other) {
    (void)co_await weft::select(std::move(one), std::move(other));
}

task<> selected_or_slept(task<> one, task<> other, weft::clock::duration nap) {
    (void)co_await weft::select(std::move(one), weft::sleep_for(nap), std::move(other));
}

task<> in_scope(task<> one, task<> other) {
    auto body = [&](nursery& n) -> task<> {
        n.spawn_without_handle(std::move(one));
        co_await std::move(other);
    };
    co_await weft::scope(body);
}

task<> limited(task<> one, weft::clock::duration limit) {
    (void)co_await weft::as_result(weft::timeout(limit, std::move(one)));
}

task<> shielded_briefly(task<> one) {
    co_await weft::shielded(500us, std::move(one));
}

task<> with_token(task<> one) {
    weft::stop_source source;
    co_await weft::with_stop_token(source.token(), std::move(one));
}

task<> cleaned(task<> one, place& at) {
    co_await weft::finally(std::move(one), locks(at));
}

task<> grow(random_numbers& random, place& at, unsigned depth);

task<> grow_node(random_numbers& random, place& at, unsigned depth) {
    task<> one = grow(random, at, depth - 1);
    task<> other = grow(random, at, depth - 1);
    auto const nap = std::chrono::microseconds(random.below(3'000));
    switch (random.below(10)) {
        case 0:
            return both(std::move(one), std::move(other));
        case 1:
            return either(std::move(one), std::move(other));
        case 2:
            return each_settled(std::move(one), std::move(other));
        case 3:
            return selected(std::move(one), std::move(other));
        case 4:
            return selected_or_slept(std::move(one), std::move(other), nap);
        case 5:
            return in_scope(std::move(one), std::move(other));
        case 6:
            return limited(std::move(one), nap);
        case 7:
            return shielded_briefly(std::move(one));
        case 8:
            return with_token(std::move(one));
        default:
            return cleaned(std::move(one), at);
    }
}

task<> grow(random_numbers& random, place& at, unsigned depth) {
    if (depth != 0) {
        return grow_node(random, at, depth);
    }
    switch (random.below(4)) {
        case 0:
            return holds(at);
        case 1:
            return waits(at);
        case 2:
            return cleans(at);
        default:
            return locks(at);
    }
}

}  // namespace

TEST_SUITE("sync/stopped_frames") {
    TEST_CASE("a tree of combinators whose leaves hold locks ends when it is stopped") {
        auto const seed = weft::test::fresh_seed();
        CAPTURE(seed);
        random_numbers random(seed);
        for (int i = 0; i < 150; ++i) {
            on_pools([&](place& at) -> task<> {
                return stop_soon(grow(random, at, 1 + static_cast<unsigned>(random.below(3))));
            });
        }
    }
}
