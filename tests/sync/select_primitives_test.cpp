#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/scope/scope.hpp>
#include <weft/runtime/task/as_result.hpp>
#include <weft/runtime/time/sleep.hpp>
#include <weft/runtime/time/timeout.hpp>
#include <weft/sync/channels/channel.hpp>
#include <weft/sync/locks/barrier.hpp>
#include <weft/sync/locks/event.hpp>
#include <weft/sync/locks/latch.hpp>
#include <weft/sync/locks/mutex.hpp>
#include <weft/sync/locks/semaphore.hpp>
#include <weft/sync/locks/shared_mutex.hpp>
#include <weft/sync/select.hpp>
#include <weft/tests/support/let_others_run.hpp>
#include <weft/tests/support/seed.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

// Locks, semaphores, events and latches as branches of a select.

namespace {

using namespace std::chrono_literals;
using weft::channel;
using weft::nursery;
using weft::task;
using weft::test::let_others_run;

task<> nap() {
    co_await weft::sleep_for(48h);
}

static_assert(weft::selectable<weft::mutex::lock_operation>);
static_assert(weft::selectable<weft::mutex::scoped_lock_operation>);
static_assert(weft::selectable<weft::shared_mutex::lock_operation>);
static_assert(weft::selectable<weft::shared_mutex::scoped_lock_shared_operation>);
static_assert(weft::selectable<weft::semaphore::acquire_operation>);
static_assert(weft::selectable<weft::semaphore::scoped_acquire_operation>);
static_assert(weft::selectable<weft::manual_reset_event::wait_operation>);
static_assert(weft::selectable<weft::auto_reset_event::wait_operation>);
static_assert(weft::selectable<weft::latch::wait_operation>);
/// An arrival counts for the others at once, and would stay when its branch loses.
static_assert(!weft::selectable<weft::barrier<>::arrive_operation>);

/// What a select is made of, each held up at first.
struct obstacles {
    obstacles() {
        CHECK(lock.try_lock());
        CHECK(shared.try_lock());
    }

    ~obstacles() {
        lock.unlock();
        shared.unlock();
    }

    static constexpr std::size_t count = 6;

    /// Waits for all of them; whichever comes has the number of its branch.
    task<> wait(int& winner) {
        auto const won = co_await weft::select(lock.lock(),
                                               shared.lock(),
                                               permits.acquire(2),
                                               signal.wait(),
                                               opened.wait(),
                                               counted.wait(),
                                               quiet.recv());
        winner = static_cast<int>(won.index());
    }

    void let_through(std::size_t which) {
        switch (which) {
            case 0:
                lock.unlock();
                break;
            case 1:
                shared.unlock();
                break;
            case 2:
                permits.release(2);
                break;
            case 3:
                signal.set();
                break;
            case 4:
                opened.set();
                break;
            default:
                counted.count_down();
                break;
        }
    }

    /// Whether nobody has what let_through() gave; then nobody can have it any more.
    bool take(std::size_t which) {
        switch (which) {
            case 0:
                return lock.try_lock();
            case 1:
                return shared.try_lock();
            case 2:
                return permits.try_acquire(2);
            case 3:
                return signal.try_wait();
            case 4: {
                bool const open = opened.is_set();
                opened.reset();
                return open;
            }
            default:
                return counted.is_open();
        }
    }

    weft::mutex lock;
    weft::shared_mutex shared;
    weft::semaphore permits{0};
    weft::auto_reset_event signal;
    weft::manual_reset_event opened;
    weft::latch counted{1};
    channel<int> quiet{0};
};

constexpr bool stays(std::size_t which) {
    return which >= 4;  // for everybody
}

/// A select of a permit and a value. The task that has the permit is alone, and gives it back.
struct contended_place {
    task<> select_once(std::uint64_t how) {
        if (how % 3 == 0) {
            auto won = co_await weft::select(lock.scoped_lock(), values.recv());
            account(won.index() == 0);
        } else if (how % 3 == 1) {
            auto won = co_await weft::select(weft::biased, values.recv(), lock.scoped_lock());
            account(won.index() == 1);
        } else {
            auto won = co_await weft::select(values.recv(), lock.scoped_lock(), nap());
            account(won.index() == 1);
        }
    }

    void account(bool has_lock) {
        if (has_lock) {
            ++inside;  // only the mutex protects it
            ++locked;
        } else {
            ++received;
        }
    }

    weft::mutex lock;
    channel<int> values{2};
    std::uint64_t inside = 0;
    std::atomic<std::uint64_t> locked{0};
    std::atomic<std::uint64_t> received{0};
};

}  // namespace

TEST_SUITE("sync/select_primitives") {
    TEST_CASE("a branch that needs no waiting wins, and its task has what it wanted") {
        weft::thread_pool pool({.workers = 1});
        weft::mutex lock;
        weft::semaphore permits(3);
        channel<int> quiet(0);
        auto work = [&]() -> task<> {
            {
                auto won = co_await weft::select(quiet.recv(), lock.scoped_lock());
                CHECK(won.index() == 1);
                CHECK_FALSE(lock.try_lock());
                auto const guard = std::move(won).get<1>();
                CHECK(static_cast<bool>(guard));
            }
            CHECK(lock.try_lock());
            {
                auto won = co_await weft::select(lock.scoped_lock(), permits.scoped_acquire(2));
                CHECK(won.index() == 1);
                CHECK(won.get<1>().count() == 2);
                CHECK(permits.available() == 1);
            }
            CHECK(permits.available() == 3);
            lock.unlock();
        };
        pool.block_on(work());
    }

    TEST_CASE("without a runtime, what needs no waiting wins") {
        weft::mutex lock;
        weft::auto_reset_event signal(true);
        CHECK(lock.try_lock());
        auto work = [&]() -> task<std::size_t> {
            auto const won = co_await weft::select(lock.lock(), signal.wait());
            co_return won.index();
        };
        CHECK(weft::sync_wait(work()) == 1);
        CHECK_FALSE(signal.is_set());
        lock.unlock();
    }

    TEST_CASE("a waiting select goes on with the first that is let through, and with that alone") {
        weft::thread_pool pool({.workers = 1});
        for (std::size_t which = 0; which < obstacles::count; ++which) {
            CAPTURE(which);
            obstacles place;
            int winner = -1;
            auto work = [&]() -> task<> {
                auto body = [&](nursery& n) -> task<> {
                    n.spawn(place.wait(winner));
                    co_await let_others_run();
                    CHECK(winner == -1);
                    place.let_through(which);
                };
                co_await weft::scope(body);
            };
            pool.block_on(work());
            CHECK(winner == static_cast<int>(which));
            CHECK(place.take(which) == stays(which));
            for (std::size_t other = 0; other < obstacles::count; ++other) {
                if (other != which) {
                    place.let_through(other);
                    CHECK(place.take(other));
                }
            }
        }
    }

    TEST_CASE("what a decided select is offered stays, though the select has not gone on yet") {
        weft::thread_pool pool({.workers = 1});
        for (std::size_t which = 0; which < obstacles::count; ++which) {
            CAPTURE(which);
            obstacles place;
            int winner = -1;
            auto work = [&]() -> task<> {
                auto body = [&](nursery& n) -> task<> {
                    n.spawn(place.wait(winner));
                    co_await let_others_run();
                    CHECK(place.quiet.try_send(1).has_value());
                    place.let_through(which);
                    CHECK(place.take(which));
                    CHECK(winner == -1);
                };
                co_await weft::scope(body);
            };
            pool.block_on(work());
            CHECK(winner == obstacles::count);
        }
    }

    TEST_CASE("what a decided select is offered goes to the next in the queue") {
        weft::thread_pool pool({.workers = 1});
        weft::mutex lock;
        weft::shared_mutex shared;
        weft::semaphore permits(0);
        weft::auto_reset_event signal;
        channel<int> quiet(0);
        std::vector<int> order;
        auto selects = [&]() -> task<> {
            auto const won = co_await weft::select(
                lock.lock(), shared.lock(), permits.acquire(3), signal.wait(), quiet.recv());
            CHECK(won.index() == 4);
            order.push_back(0);
        };
        auto locks = [&](int name) -> task<> {
            auto const guard = co_await lock.scoped_lock();
            order.push_back(name);
        };
        auto reads = [&](int name) -> task<> {
            auto const guard = co_await shared.scoped_lock_shared();
            order.push_back(name);
        };
        auto acquires = [&](int name) -> task<> {
            co_await permits.acquire(2);
            order.push_back(name);
        };
        auto waits = [&](int name) -> task<> {
            co_await signal.wait();
            order.push_back(name);
        };
        auto work = [&]() -> task<> {
            CHECK(lock.try_lock());
            CHECK(shared.try_lock());
            auto body = [&](nursery& n) -> task<> {
                n.spawn(selects());
                co_await let_others_run();
                n.spawn(locks(1));
                n.spawn(locks(2));
                n.spawn(reads(3));
                n.spawn(reads(4));
                n.spawn(acquires(5));
                n.spawn(waits(6));
                n.spawn(waits(7));
                co_await let_others_run();
                CHECK(quiet.try_send(1).has_value());
                lock.unlock();
                shared.unlock();
                permits.release(3);
                signal.set();
                co_await let_others_run();
                CHECK(order == std::vector<int>{0, 1, 3, 4, 5, 6, 2});
                CHECK(permits.available() == 1);
                signal.set();
            };
            co_await weft::scope(body);
        };
        pool.block_on(work());
        CHECK(order.back() == 7);
        CHECK_FALSE(signal.is_set());
    }

    TEST_CASE("who waits behind a losing branch and needs less is let in when it leaves") {
        weft::thread_pool pool({.workers = 1});
        weft::semaphore permits(2);
        weft::shared_mutex shared;
        channel<int> quiet(0);
        int let_in = 0;
        auto selects = [&]() -> task<> {
            auto const won = co_await weft::select(permits.acquire(5), shared.lock(), quiet.recv());
            CHECK(won.index() == 2);
        };
        auto acquires = [&]() -> task<> {
            co_await permits.acquire(2);
            ++let_in;
        };
        auto reads = [&]() -> task<> {
            auto const guard = co_await shared.scoped_lock_shared();
            ++let_in;
        };
        auto work = [&]() -> task<> {
            CHECK(shared.try_lock_shared());
            auto body = [&](nursery& n) -> task<> {
                n.spawn(selects());
                co_await let_others_run();
                n.spawn(acquires());
                n.spawn(reads());
                co_await let_others_run();
                CHECK(let_in == 0);
                CHECK(quiet.try_send(1).has_value());
                co_await let_others_run();
                CHECK(let_in == 2);
            };
            co_await weft::scope(body);
            shared.unlock_shared();
        };
        pool.block_on(work());
    }

    TEST_CASE("a losing task may wait behind a branch of its own select") {
        weft::thread_pool pool({.workers = 1});
        weft::semaphore permits(1);
        channel<int> never(0);
        channel<int> quiet(0);
        bool cleaned_up = false;

        // Its destructor could not wait; a task that hides the stop can.
        auto hides_stop = [&]() -> task<> {
            auto const received = co_await (never.recv() | weft::as_result);
            CHECK(received.error() == std::errc::operation_canceled);
            auto const acquired = co_await (permits.acquire() | weft::as_result);
            cleaned_up = acquired.has_value();
        };
        auto selects = [&]() -> task<> {
            auto const won = co_await weft::select(permits.acquire(2), hides_stop(), quiet.recv());
            CHECK(won.index() == 2);
        };
        auto work = [&]() -> task<> {
            auto body = [&](nursery& n) -> task<> {
                n.spawn(selects());
                co_await let_others_run();
                CHECK(quiet.try_send(1).has_value());
            };
            co_await weft::scope(body);
        };
        pool.block_on(work());
        CHECK(cleaned_up);
        CHECK(permits.available() == 0);
    }

    TEST_CASE("who is woken together with a select may destroy what both waited for") {
        weft::thread_pool pool({.workers = 1});
        auto const event = std::make_unique<std::optional<weft::manual_reset_event>>(std::in_place);
        channel<int> quiet(0);
        bool won = false;
        auto destroys = [&]() -> task<> {
            co_await (*event)->wait();
            event->reset();
        };
        auto selects = [&]() -> task<> {
            auto const decided = co_await weft::select(quiet.recv(), (*event)->wait());
            CHECK_FALSE(event->has_value());
            won = decided.index() == 1;
        };
        auto work = [&]() -> task<> {
            auto body = [&](nursery& n) -> task<> {
                n.spawn(destroys());
                co_await let_others_run();
                n.spawn(selects());
                co_await let_others_run();
                (*event)->set();
            };
            co_await weft::scope(body);
        };
        pool.block_on(work());
        CHECK(won);
    }

    TEST_CASE("one primitive may be several branches of a select; one of them takes effect") {
        weft::thread_pool pool({.workers = 1});
        weft::mutex lock;
        weft::shared_mutex shared;
        weft::semaphore permits(0);
        auto on_mutex = [&]() -> task<> {
            auto const won = co_await weft::select(lock.lock(), lock.lock());
            CHECK_FALSE(lock.try_lock());
            lock.unlock();
            CHECK(won.index() == 0);
        };
        auto on_shared = [&]() -> task<> {
            auto const won = co_await weft::select(shared.lock(), shared.lock_shared());
            CHECK(won.index() == 0);
        };
        auto on_semaphore = [&]() -> task<> {
            auto const won = co_await weft::select(permits.acquire(2), permits.acquire(1));
            CHECK(won.index() == 0);
        };
        auto work = [&]() -> task<> {
            CHECK(lock.try_lock());
            CHECK(shared.try_lock());
            auto body = [&](nursery& n) -> task<> {
                n.spawn(on_mutex());
                n.spawn(on_shared());
                n.spawn(on_semaphore());
                co_await let_others_run();
                lock.unlock();
                shared.unlock();
                permits.release(2);
            };
            co_await weft::scope(body);
        };
        pool.block_on(work());
        CHECK(lock.try_lock());
        lock.unlock();
        CHECK_FALSE(shared.try_lock_shared());
        shared.unlock();
        CHECK(permits.available() == 0);
    }

    TEST_CASE("with bias the first of several that are free is taken, without it every one") {
        weft::thread_pool pool({.workers = 1});
        weft::semaphore a(100);
        weft::semaphore b(100);
        auto work = [&]() -> task<> {
            for (int i = 0; i < 40; ++i) {
                auto const won = co_await weft::select(weft::biased, a.acquire(), b.acquire());
                CHECK(won.index() == 0);
            }
            CHECK(b.available() == 100);
            for (int i = 0; i < 40; ++i) {
                (void)co_await weft::select(a.acquire(), b.acquire());
            }
            CHECK(a.available() + b.available() == 120);
            CHECK(a.available() < 60);
            CHECK(b.available() < 100);
        };
        pool.block_on(work());
    }

    TEST_CASE("try_select takes what is free, and queues nowhere") {
        weft::mutex lock;
        weft::semaphore permits(1);
        channel<int> quiet(0);
        CHECK(lock.try_lock());
        {
            auto const won = weft::try_select(lock.scoped_lock(), permits.scoped_acquire());
            REQUIRE(won.has_value());
            CHECK(won->index() == 1);
            CHECK_FALSE(weft::try_select(lock.lock(), permits.acquire(), quiet.recv()).has_value());
        }
        CHECK(permits.available() == 1);
        lock.unlock();
        auto const won = weft::try_select(lock.lock(), quiet.recv());
        CHECK(won.has_value());
        lock.unlock();
    }

    TEST_CASE("a branch that asked for a result has its value in one") {
        weft::thread_pool pool({.workers = 1});
        weft::mutex lock;
        channel<int> quiet(0);
        auto work = [&]() -> task<> {
            auto won = co_await weft::select(quiet.recv(), lock.scoped_lock() | weft::as_result);
            CHECK(won.index() == 1);
            CHECK(static_cast<bool>(won.get<1>().value()));
        };
        pool.block_on(work());
        CHECK(lock.try_lock());
        lock.unlock();
    }

    TEST_CASE("locks and values that selects race for are had once each, and alone") {
        constexpr int selectors = 6;
        constexpr int rounds = 4'000;
        auto const seed = weft::test::fresh_seed();
        CAPTURE(seed);
        for (unsigned const workers : {1U, 2U, 4U}) {
            CAPTURE(workers);
            weft::thread_pool pool({.workers = workers});
            contended_place place;
            std::atomic<std::uint64_t> stopped = 0;
            std::uint64_t sent = 0;
            auto selects = [&](std::uint64_t own) -> task<> {
                weft::test::random_numbers random(own);
                for (int i = 0; i < rounds; ++i) {
                    if (random.one_in(4)) {
                        auto const ended = co_await (
                            weft::timeout(1us, place.select_once(random.next())) | weft::as_result);
                        stopped += ended.has_value() ? 0U : 1U;
                    } else {
                        co_await place.select_once(random.next());
                    }
                }
            };
            auto feeds = [&](weft::stop_token token) -> task<> {
                weft::test::random_numbers random(seed);
                while (!token.stop_requested()) {
                    sent += place.values.try_send(1).has_value() ? 1U : 0U;
                    if (random.one_in(2)) {
                        auto const guard = co_await place.lock.scoped_lock();
                        co_await weft::yield();
                    }
                    co_await weft::yield();
                }
            };
            auto work = [&]() -> task<> {
                weft::stop_source done;
                auto body = [&](nursery& n) -> task<> {
                    n.spawn(feeds(done.token()));
                    auto all = [&](nursery& inner) -> task<> {
                        for (std::uint64_t i = 0; i < selectors; ++i) {
                            inner.spawn(selects(seed + i));
                        }
                        co_return;
                    };
                    co_await weft::scope(all);
                    done.request_stop();
                };
                co_await weft::scope(body);
            };
            pool.block_on(work());
            CHECK(place.inside == place.locked);
            CHECK(sent == place.received + place.values.size());
            CHECK(place.locked + place.received + stopped ==
                  std::uint64_t{selectors} * std::uint64_t{rounds});
            CHECK(place.received > 0);
            CHECK(place.lock.try_lock());
            place.lock.unlock();
        }
    }
}
