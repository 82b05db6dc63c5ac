#include <weft/runtime/coro/ready_budget.hpp>

#include <weft/runtime/join/all_settled.hpp>
#include <weft/runtime/join/as_completed.hpp>
#include <weft/runtime/join/detail/when_all_range.hpp>
#include <weft/runtime/join/first_success.hpp>
#include <weft/runtime/join/when_all.hpp>
#include <weft/runtime/join/when_any.hpp>
#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/ranges/for_each.hpp>
#include <weft/runtime/ranges/in_batches.hpp>
#include <weft/runtime/ranges/map.hpp>
#include <weft/runtime/resilience/bulkhead.hpp>
#include <weft/runtime/resilience/circuit_breaker.hpp>
#include <weft/runtime/resilience/debounce.hpp>
#include <weft/runtime/resilience/fallback.hpp>
#include <weft/runtime/resilience/hedge.hpp>
#include <weft/runtime/resilience/rate_limiter.hpp>
#include <weft/runtime/resilience/retry.hpp>
#include <weft/runtime/resilience/single_flight.hpp>
#include <weft/runtime/resilience/throttle.hpp>
#include <weft/runtime/resilience/time_limit.hpp>
#include <weft/runtime/scope/finally.hpp>
#include <weft/runtime/scope/scope.hpp>
#include <weft/runtime/scope/shielded.hpp>
#include <weft/runtime/scope/stop_on.hpp>
#include <weft/runtime/scope/this_task.hpp>
#include <weft/runtime/task/as_result.hpp>
#include <weft/runtime/task/task_local.hpp>
#include <weft/runtime/time/sleep.hpp>
#include <weft/runtime/time/timeout.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

// What can be awaited without waiting must not keep the worker for itself, and must end by a stop:
// for the primitives see tests/sync/ready_budget_test.cpp.

namespace {

using namespace std::chrono_literals;
using weft::nursery;
using weft::task;

constexpr int turns_max = 1'000'000;

task<> ready() {
    co_return;
}

/// Each has turn(): an await that never has to wait.
struct timeout_turns {
    task<> turn() { co_await weft::timeout(48h, ready()); }
};

struct deadline_turns {
    task<> turn() {
        (void)co_await (weft::with_deadline(weft::clock::time_point(), ready()) | weft::as_result);
    }
};

struct token_turns {
    task<> turn() { co_await weft::with_stop_token(source.token(), ready()); }

    weft::stop_source source;
};

struct stopped_token_turns {
    stopped_token_turns() { source.request_stop(); }

    task<> turn() {
        auto const stops = []() -> task<> { co_await weft::this_task::stop_point(); };
        (void)co_await (weft::with_stop_token(source.token(), stops()) | weft::as_result);
    }

    weft::stop_source source;
};

struct soft_turns {
    task<> turn() { co_await weft::until_soft_stop(ready()); }
};

struct cleanup_turns {
    task<> turn() { co_await weft::finally(ready(), ready()); }
};

struct result_turns {
    task<> turn() { (void)co_await (ready() | weft::as_result); }
};

struct scope_turns {
    task<> turn() {
        auto body = [](nursery&) -> task<> { co_return; };
        co_await weft::scope(body);
    }
};

struct supervisor_turns {
    task<> turn() {
        auto body = [](nursery&) -> task<> { co_return; };
        (void)co_await (weft::supervisor_scope(body) | weft::as_result);
    }
};

struct deferring_turns {
    task<> turn() {
        auto body = [](nursery& n) -> task<> {
            n.defer(ready());
            co_return;
        };
        co_await weft::scope(body);
    }
};

struct join_turns {
    task<> turn() { co_await weft::when_all(ready(), ready()); }
};

struct empty_join_turns {
    task<> turn() { co_await weft::when_all(std::vector<task<>>()); }
};

struct settled_turns {
    task<> turn() { (void)co_await weft::all_settled(ready(), ready()); }
};

struct settled_nothing_turns {
    task<> turn() { (void)co_await weft::all_settled(std::vector<task<>>()); }
};

struct race_turns {
    task<> turn() { (void)co_await weft::when_any(ready(), ready()); }
};

struct race_of_none_turns {
    task<> turn() { (void)co_await (weft::when_any(std::vector<task<>>()) | weft::as_result); }
};

struct success_turns {
    task<> turn() { (void)co_await weft::first_success(ready(), ready()); }
};

struct completion_turns {
    task<> turn() {
        auto body = [](weft::completions<void>& none) -> task<> { (void)co_await none.next(); };
        co_await weft::as_completed(std::vector<task<>>(), body);
    }
};

struct for_each_turns {
    task<> turn() {
        auto const visit = [](int) { return ready(); };
        co_await weft::for_each(items, visit, {.limit = 1});
    }

    std::vector<int> items{1, 2};
};

/// A child that has ended can be joined again and again.
struct handle_turns {
    task<> turn() {
        if (!child) {
            auto body = [this](nursery& n) -> task<> {
                child.emplace(n.spawn(ready()));
                co_await child->join();
            };
            co_await weft::scope(body);
        }
        co_await child->join();
    }

    std::optional<weft::join_handle<void>> child;
};

struct failed_handle_turns {
    task<> turn() {
        if (!child) {
            auto body = [this](nursery& n) -> task<> {
                auto sleeps = []() -> task<> { co_await weft::sleep_for(48h); };
                child.emplace(n.spawn(sleeps()));
                child->request_stop();
                co_return;
            };
            co_await weft::scope(body);
        }
        (void)co_await (child->join() | weft::as_result);
    }

    std::optional<weft::join_handle<void>> child;
};

struct stop_point_turns {
    task<> turn() { co_await weft::this_task::stop_point(); }
};

template <class Policy>
struct policy_turns {
    task<> turn() {
        auto const work = [] { return ready(); };
        (void)co_await (policy.run(work) | weft::as_result);
    }

    Policy policy;
};

struct fallback_turns {
    task<> turn() {
        auto const work = [] { return ready(); };
        co_await policy.run(work);
    }

    weft::fallback<task<> (*)()> policy{&ready};
};

struct open_circuit_turns {
    open_circuit_turns() { policy.isolate(); }

    task<> turn() {
        auto const work = [] { return ready(); };
        (void)co_await (policy.run(work) | weft::as_result);
    }

    weft::circuit_breaker policy;
};

/// These end otherwise, or not at all: a query tells of the stop, and a shield holds it back.
struct throwing_turns {
    task<> turn() { co_await weft::this_task::throw_if_stopped(); }
};

struct query_turns {
    task<> turn() {
        (void)co_await weft::this_task::stop_requested();
        (void)co_await weft::this_task::deadline();
    }
};

struct local_turns {
    task<> turn() { (void)co_await key.find(); }

    static constexpr weft::task_local<int> key{};
};

struct shield_turns {
    task<> turn() { co_await weft::shielded(48h, ready()); }
};

template <class Turns>
task<> turn_until(Turns& site, std::atomic<bool>& ended, std::atomic<int>& turns) {
    for (; turns < turns_max && !ended; ++turns) {
        co_await site.turn();
    }
}

template <class Turns>
void starves_nobody() {
    weft::thread_pool pool({.workers = 1});
    Turns site;
    std::atomic<bool> slept = false;
    std::atomic<int> turns = 0;
    int turns_before = turns_max;
    auto other = [&]() -> task<> {
        turns_before = turns;
        co_return;
    };
    auto sleeper = [&]() -> task<> {
        co_await weft::sleep_for(1us);
        slept = true;
    };
    auto body = [&](nursery& n) -> task<> {
        n.spawn(sleeper());
        n.spawn(other());
        co_await turn_until(site, slept, turns);
    };
    auto work = [&]() -> task<> { co_await weft::scope(body); };
    pool.block_on(work());
    CHECK(turns_before < 2'000);  // a fork-join has a budget of its own
    CHECK(turns < turns_max);
}

template <class Turns>
void ends_under_stop() {
    weft::thread_pool pool({.workers = 1});
    Turns site;
    std::atomic<bool> never = false;
    std::atomic<int> turns = 0;
    auto body = [&](nursery& n) -> task<> {
        n.spawn(turn_until(site, never, turns));
        while (turns < 100) {
            co_await weft::yield();
        }
        n.request_stop();
    };
    auto work = [&]() -> task<> { co_await weft::scope(body); };
    pool.block_on(work());
    CHECK(turns >= 100);
    CHECK(turns < turns_max);
}

}  // namespace

TEST_SUITE("runtime/ready_budget") {
    TEST_CASE_TEMPLATE("what never has to wait starves neither other tasks nor timers",
                       Turns,
                       timeout_turns,
                       deadline_turns,
                       token_turns,
                       stopped_token_turns,
                       soft_turns,
                       cleanup_turns,
                       result_turns,
                       scope_turns,
                       supervisor_turns,
                       deferring_turns,
                       join_turns,
                       empty_join_turns,
                       settled_turns,
                       settled_nothing_turns,
                       race_turns,
                       race_of_none_turns,
                       success_turns,
                       completion_turns,
                       for_each_turns,
                       handle_turns,
                       failed_handle_turns,
                       stop_point_turns,
                       throwing_turns,
                       policy_turns<weft::retry>,
                       policy_turns<weft::hedge>,
                       policy_turns<weft::bulkhead>,
                       policy_turns<weft::circuit_breaker>,
                       policy_turns<weft::rate_limiter>,
                       policy_turns<weft::throttle>,
                       fallback_turns,
                       open_circuit_turns,
                       query_turns,
                       local_turns,
                       shield_turns) {
        starves_nobody<Turns>();
    }

    TEST_CASE_TEMPLATE("an endless loop over what never has to wait ends under a stop",
                       Turns,
                       timeout_turns,
                       deadline_turns,
                       token_turns,
                       stopped_token_turns,
                       soft_turns,
                       result_turns,
                       scope_turns,
                       supervisor_turns,
                       deferring_turns,
                       join_turns,
                       empty_join_turns,
                       settled_turns,
                       settled_nothing_turns,
                       race_turns,
                       race_of_none_turns,
                       success_turns,
                       completion_turns,
                       for_each_turns,
                       handle_turns,
                       failed_handle_turns,
                       stop_point_turns,
                       policy_turns<weft::retry>,
                       policy_turns<weft::hedge>,
                       policy_turns<weft::bulkhead>,
                       policy_turns<weft::circuit_breaker>,
                       policy_turns<weft::rate_limiter>,
                       policy_turns<weft::throttle>,
                       fallback_turns,
                       open_circuit_turns) {
        ends_under_stop<Turns>();
    }
}
