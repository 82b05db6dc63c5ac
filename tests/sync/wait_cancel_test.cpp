#include <weft/runtime/core/frame_pool.hpp>
#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/scope/scope.hpp>
#include <weft/runtime/scope/stop_on.hpp>
#include <weft/runtime/time/sleep.hpp>
#include <weft/runtime/time/timeout.hpp>
#include <weft/runtime/wait/wait_list.hpp>
#include <weft/tests/support/any_site.hpp>
#include <weft/tests/support/counted.hpp>
#include <weft/tests/support/seed.hpp>
#include <weft/tests/support/stoppable.hpp>
#include <weft/tests/support/sync_sites.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <system_error>
#include <thread>
#include <vector>

// Every operation of the primitives goes through the same: stopped before it waits, while it waits,
// while it is let through, and with the runtime; by itself, and as a branch of a select.

namespace {

using namespace std::chrono_literals;
using weft::task;
using namespace weft::test;

#define WEFT_SYNC_SITES                                                                           \
    mutex_site, shared_mutex_writer_site, shared_mutex_reader_site, semaphore_site,               \
        auto_reset_event_site, manual_reset_event_site, latch_site, barrier_site, condition_site, \
        predicate_site, once_site, selecting_site<mutex_site>,                                    \
        selecting_site<shared_mutex_writer_site>, selecting_site<semaphore_site>,                 \
        selecting_site<auto_reset_event_site>, selecting_site<manual_reset_event_site>,           \
        selecting_site<latch_site>, selecting_site<once_site>, selecting_condition_site,          \
        selecting_predicate_site

/// Lets whoever was spawned run until it waits, on a pool of one worker.
task<> let_it_wait(site_kind const& kind) {
    for (int i = 0; i < (kind.selects ? 4 : 1); ++i) {
        co_await weft::yield();  // a branch of its own may have to start
    }
}

/// Waits with something that shows when it is destroyed.
task<> wait_with(any_site& site, object_count& objects, std::atomic<int>& begun) {
    counted const held(objects);
    ++begun;
    co_await site.wait();
}

/// Lets `site` through, to a waiter of its own, and sees that it works. Needs a pool of one worker:
/// what comes before the waiter waits, not every site keeps.
task<> check_usable(site_kind const& kind, any_site& site) {
    int const before = site.passed();
    auto body = [&](weft::nursery& n) -> task<> {
        n.spawn(site.wait());
        co_await let_it_wait(kind);
        site.let_through();
    };
    co_await weft::scope(body);
    CHECK(site.passed() == before + 1);
    CHECK_FALSE((kind.keeps && site.take_back()));
}

task<> stop_before(any_site& site, object_count& objects, std::atomic<int>& begun) {
    auto body = [&](weft::nursery& n) -> task<> {
        n.request_stop();
        n.spawn(wait_with(site, objects, begun));
        co_return;
    };
    co_await weft::scope(body);
}

task<> stop_while_waiting(site_kind const& kind,
                          any_site& site,
                          object_count& objects,
                          std::atomic<int>& begun,
                          int count) {
    auto body = [&](weft::nursery& n) -> task<> {
        for (int i = 0; i < count; ++i) {
            n.spawn(wait_with(site, objects, begun));
        }
        while (begun < count) {
            co_await weft::yield();
        }
        co_await let_it_wait(kind);
        n.request_stop();
    };
    co_await weft::scope(body);
}

/// Does something at a random moment.
template <class Function>
task<> act_soon(std::uint64_t seed, Function act) {
    random_numbers random(seed);
    for (auto yields = random.below(3); yields != 0; --yields) {
        co_await weft::yield();
    }
    for (auto spins = random.below(100); spins != 0; --spins) {
        weft::detail::cpu_relax();
    }
    act();
}

struct race_account {
    std::atomic<int> passed{0};
    std::atomic<int> wrong{0};
};

/// Again and again a task waits, another stops it, and a third lets it through.
task<> race(site_kind const& kind,
            std::uint64_t seed,
            int rounds,
            object_count& objects,
            race_account& account) {
    random_numbers random(seed);
    auto const owned = kind.make();
    any_site& site = *owned;
    stoppable runs;
    std::atomic<int> begun = 0;
    auto victim = [&]() -> task<> { (void)co_await runs.run(wait_with(site, objects, begun)); };
    auto stop = [&] { runs.request_stop(); };
    auto let_through = [&] { site.let_through(); };
    auto round = [&](weft::nursery& n) -> task<> {
        bool const waits_first = !random.one_in(8);
        if (waits_first) {
            n.spawn(victim());
        }
        bool const stops_first = random.one_in(2);
        if (stops_first) {
            n.spawn(act_soon(random.next(), stop));
        }
        n.spawn(act_soon(random.next(), let_through));
        if (!stops_first) {
            n.spawn(act_soon(random.next(), stop));
        }
        if (!waits_first) {
            n.spawn(victim());
        }
        co_return;
    };
    // Where nothing is kept, nobody is let through who comes too late; then the stop ends the wait.
    for (int i = 0; i < rounds; ++i) {
        int const before = site.passed();
        co_await weft::scope(round);
        runs.forget_request();
        int const passed = site.passed() - before;
        int const left = site.take_back() ? 1 : 0;
        account.passed += passed;
        bool const right = kind.keeps ? passed + left == 1 : passed + left <= 1;
        account.wrong += right ? 0 : 1;
    }
}

// --- what each site goes through -----------------------------------------------------

void check_stop_before(site_kind const& kind) {
    weft::thread_pool pool({.workers = 1});
    auto const owned = kind.make();
    any_site& site = *owned;
    object_count objects;
    std::atomic<int> begun = 0;
    auto work = [&]() -> task<> {
        co_await stop_before(site, objects, begun);
        CHECK(begun == 1);
        CHECK(site.passed() == 0);
        CHECK(objects.alive == 0);
        CHECK_FALSE(site.take_back());
        co_await check_usable(kind, site);
    };
    pool.block_on(work());
}

void check_nothing_to_wait_for(site_kind const& kind) {
    if (!kind.keeps) {
        return;
    }
    weft::thread_pool pool({.workers = 1});
    auto const owned = kind.make();
    any_site& site = *owned;
    std::atomic<int> begun = 0;
    object_count objects;
    auto work = [&]() -> task<> {
        site.let_through();
        co_await stop_before(site, objects, begun);
        CHECK(site.passed() == (kind.selects ? 0 : 1));
        CHECK(site.take_back() == kind.selects);
    };
    pool.block_on(work());
}

void check_stop_while_waiting(site_kind const& kind) {
    weft::thread_pool pool({.workers = 1});
    auto const owned = kind.make();
    any_site& site = *owned;
    object_count objects;
    std::atomic<int> begun = 0;
    auto work = [&]() -> task<> {
        co_await stop_while_waiting(kind, site, objects, begun, 1);
        CHECK(begun == 1);
        CHECK(site.passed() == 0);
        CHECK(objects.alive == 0);
        CHECK_FALSE(site.take_back());
        co_await check_usable(kind, site);
    };
    pool.block_on(work());
}

void check_stop_as_code(site_kind const& kind) {
    weft::thread_pool pool({.workers = 1});
    auto const owned = kind.make();
    any_site& site = *owned;
    std::error_code pending;
    std::error_code before;
    bool went_on = false;
    auto waits = [&]() -> task<> {
        pending = co_await site.wait_for_code();
        (void)co_await site.wait_for_code();
        went_on = true;
    };
    weft::stop_source source;
    auto waits_stopped = [&]() -> task<> {
        source.request_stop();
        before = co_await site.wait_for_code();
    };
    auto work = [&]() -> task<> {
        auto body = [&](weft::nursery& n) -> task<> {
            n.spawn(waits());
            co_await let_it_wait(kind);
            n.request_stop();
        };
        co_await weft::scope(body);
        co_await weft::with_stop_token(source.token(), waits_stopped());
        CHECK(pending == std::errc::operation_canceled);
        CHECK(before == std::errc::operation_canceled);
        CHECK_FALSE(went_on);
        CHECK(site.passed() == 0);
        CHECK_FALSE(site.take_back());
        co_await check_usable(kind, site);
    };
    pool.block_on(work());
}

void check_success_as_code(site_kind const& kind) {
    weft::thread_pool pool({.workers = 1});
    auto const owned = kind.make();
    any_site& site = *owned;
    std::error_code code = std::make_error_code(std::errc::io_error);
    auto waits = [&]() -> task<> { code = co_await site.wait_for_code(); };
    auto work = [&]() -> task<> {
        auto body = [&](weft::nursery& n) -> task<> {
            n.spawn(waits());
            co_await let_it_wait(kind);
            site.let_through();
        };
        co_await weft::scope(body);
        CHECK_FALSE(static_cast<bool>(code));
        CHECK(site.passed() == 1);
    };
    pool.block_on(work());
}

void check_deadline(site_kind const& kind) {
    weft::thread_pool pool({.workers = 1});
    auto const owned = kind.make();
    any_site& site = *owned;
    auto work = [&]() -> task<std::error_code> {
        auto const ended = co_await (weft::timeout(1ms, site.wait()) | weft::as_result);
        CHECK(site.passed() == 0);
        CHECK_FALSE(site.take_back());
        co_await check_usable(kind, site);
        co_return ended.error();
    };
    CHECK(pool.block_on(work()) == std::errc::timed_out);
}

void check_stop_of_many(site_kind const& kind) {
    for (unsigned workers : {1U, 2U}) {
        weft::thread_pool pool({.workers = workers});
        auto const count = kind.most_waiters;
        auto const owned = kind.make();
        any_site& site = *owned;
        object_count objects;
        std::atomic<int> begun = 0;
        pool.block_on(stop_while_waiting(kind, site, objects, begun, count));
        CHECK(site.passed() == 0);
        CHECK(objects.alive == 0);
        CHECK_FALSE(site.take_back());
        weft::thread_pool one_worker({.workers = 1});
        one_worker.block_on(check_usable(kind, site));
    }
}

void check_race(site_kind const& kind) {
    constexpr int lanes = 4;
    constexpr int rounds = 10'000;
    auto const seed = fresh_seed();
    CAPTURE(seed);
    weft::thread_pool pool({.workers = 2});
    object_count objects;
    race_account account;
    auto work = [&]() -> task<> {
        auto body = [&](weft::nursery& n) -> task<> {
            for (std::uint64_t lane = 0; lane < lanes; ++lane) {
                n.spawn(race(kind, seed + lane, rounds / lanes, objects, account));
            }
            co_return;
        };
        co_await weft::scope(body);
    };
    pool.block_on(work());
    CHECK(account.wrong == 0);
    CHECK(account.passed > 0);
    CHECK(account.passed < rounds);
    CHECK(objects.alive == 0);
}

void check_end_of_runtime(site_kind const& kind) {
    auto const owned = kind.make();
    any_site& site = *owned;
    object_count objects;
    std::atomic<int> begun = 0;
    auto const count = kind.most_waiters;
    {
        weft::thread_pool pool({.workers = 2});
        for (int i = 0; i < count; ++i) {
            pool.spawn(wait_with(site, objects, begun));
        }
        while (begun < count) {
            std::this_thread::yield();
        }
    }
    CHECK(site.passed() == 0);
    CHECK(objects.alive == 0);
    CHECK(weft::detail::frame_pool::live_frames() == 0);
    CHECK_FALSE(site.take_back());
}

}  // namespace

TEST_SUITE("sync/wait_list_cancel") {
    TEST_CASE_TEMPLATE(
        "a task that is stopped before it would wait has no effect", Site, WEFT_SYNC_SITES) {
        check_stop_before(kind_of_site<Site>);
    }

    TEST_CASE_TEMPLATE(
        "a stopped task gets what needs no waiting, but in a select", Site, WEFT_SYNC_SITES) {
        check_nothing_to_wait_for(kind_of_site<Site>);
    }

    TEST_CASE_TEMPLATE(
        "a stop ends a wait, and the next one is let through", Site, WEFT_SYNC_SITES) {
        check_stop_while_waiting(kind_of_site<Site>);
    }

    TEST_CASE_TEMPLATE(
        "with as_result, a stop is an error code, and the next wait stops", Site, WEFT_SYNC_SITES) {
        check_stop_as_code(kind_of_site<Site>);
    }

    TEST_CASE_TEMPLATE(
        "with as_result, a wait that succeeds gives no error", Site, WEFT_SYNC_SITES) {
        check_success_as_code(kind_of_site<Site>);
    }

    TEST_CASE_TEMPLATE("a wait keeps to the deadline around it", Site, WEFT_SYNC_SITES) {
        check_deadline(kind_of_site<Site>);
    }

    TEST_CASE_TEMPLATE("a stop of many waiters leaves none behind", Site, WEFT_SYNC_SITES) {
        check_stop_of_many(kind_of_site<Site>);
    }

    TEST_CASE_TEMPLATE("a stop that races a success leaves one of the two", Site, WEFT_SYNC_SITES) {
        check_race(kind_of_site<Site>);
    }

    TEST_CASE_TEMPLATE("destroying the runtime ends every wait", Site, WEFT_SYNC_SITES) {
        check_end_of_runtime(kind_of_site<Site>);
    }
}
