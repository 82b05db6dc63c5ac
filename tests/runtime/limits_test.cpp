// Limits, capacities and numbers of attempts may come from data: whatever they are, no call aborts
// the process, and none takes memory for more than there is to do.

#include <limits>

#include <weft/runtime/core/frame_pool.hpp>
#include <weft/runtime/join/detail/when_all_range.hpp>
#include <weft/runtime/join/when_all.hpp>
#include <weft/runtime/pool/blocking.hpp>
#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/ranges/for_each.hpp>
#include <weft/runtime/ranges/in_batches.hpp>
#include <weft/runtime/ranges/map.hpp>
#include <weft/runtime/ranges/map_reduce.hpp>
#include <weft/runtime/resilience/bulkhead.hpp>
#include <weft/runtime/resilience/circuit_breaker.hpp>
#include <weft/runtime/resilience/debounce.hpp>
#include <weft/runtime/resilience/hedge.hpp>
#include <weft/runtime/resilience/rate_limiter.hpp>
#include <weft/runtime/resilience/retry.hpp>
#include <weft/runtime/resilience/retry_budget.hpp>
#include <weft/runtime/resilience/throttle.hpp>
#include <weft/runtime/scope/scope.hpp>
#include <weft/runtime/time/sleep.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <forward_list>
#include <span>
#include <stdexcept>
#include <vector>

using namespace std::chrono_literals;
using weft::task;

namespace {

constexpr std::size_t size_max = std::numeric_limits<std::size_t>::max();
constexpr unsigned unsigned_max = std::numeric_limits<unsigned>::max();

using numbers = std::vector<int>;
using unsized_numbers = std::forward_list<int>;  // does not know how many it has

int sum(std::vector<int> const& values) {
    int total = 0;
    for (int const each : values) {
        total += each;
    }
    return total;
}

template <class Range>
int for_each_sum(weft::thread_pool& pool, Range& range, std::size_t limit) {
    std::atomic<int> total = 0;
    auto add = [&](int value) -> task<> {
        total += value;
        co_return;
    };
    pool.block_on(weft::for_each(range, add, {.limit = limit}));
    return total;
}

task<int> same(int value) {
    co_return value;
}

template <class Range>
int map_sum(weft::thread_pool& pool, Range& range, std::size_t limit) {
    return sum(pool.block_on(weft::map(range, same, {.limit = limit})));
}

template <class Range>
int unordered_sum(weft::thread_pool& pool, Range& range, std::size_t limit) {
    return sum(pool.block_on(weft::map_unordered(range, same, {.limit = limit})));
}

template <class Range>
int reduced_sum(weft::thread_pool& pool, Range& range, std::size_t limit) {
    auto add = [](int left, int right) { return left + right; };
    return pool.block_on(weft::map_reduce(range, same, 0, add, {.limit = limit}));
}

int batched_sum(weft::thread_pool& pool, numbers& range, std::size_t size) {
    std::vector<task<int>> children;
    for (int const each : range) {
        children.push_back(same(each));
    }
    return sum(pool.block_on(weft::in_batches(std::move(children), {.size = size})));
}

int batched_spans_sum(weft::thread_pool& pool, numbers& range, std::size_t size) {
    auto add = [](std::span<int> batch) -> task<int> {
        co_return sum(std::vector<int>(batch.begin(), batch.end()));
    };
    return sum(pool.block_on(weft::in_batches(range, add, {.size = size})));
}

/// `sum_of(pool, range, limit)` works through a range with a limit.
template <class Range, class SumOf>
void check_limits(SumOf sum_of) {
    weft::thread_pool pool({.workers = 2});
    Range none;
    Range several{1, 2, 3, 4};
    for (std::size_t const limit : {std::size_t{0}, std::size_t{1}, std::size_t{3}, size_max}) {
        CAPTURE(limit);
        CHECK(sum_of(pool, none, limit) == 0);
        if (limit != 0) {
            CHECK(sum_of(pool, several, limit) == 10);
        }
    }
    CHECK_THROWS_AS((void)sum_of(pool, several, 0), std::invalid_argument);
}

template <class Policy, class Options, class Change>
void check_refused(Change change) {
    Options options;
    change(options);
    CHECK_THROWS_AS(Policy{options}, std::invalid_argument);
}

}  // namespace

TEST_SUITE("runtime/limits") {
    TEST_CASE("a range is worked through under every limit but 0, which only an empty one takes") {
        check_limits<numbers>(&for_each_sum<numbers>);
        check_limits<unsized_numbers>(&for_each_sum<unsized_numbers>);
        check_limits<numbers>(&map_sum<numbers>);
        check_limits<unsized_numbers>(&map_sum<unsized_numbers>);
        check_limits<numbers>(&unordered_sum<numbers>);
        check_limits<unsized_numbers>(&unordered_sum<unsized_numbers>);
        check_limits<numbers>(&reduced_sum<numbers>);
        check_limits<unsized_numbers>(&reduced_sum<unsized_numbers>);
        check_limits<numbers>(&batched_sum);
        check_limits<numbers>(&batched_spans_sum);
    }

    TEST_CASE("a limit far above the number of items makes no more lanes than there are items") {
        weft::thread_pool pool({.workers = 1});
        unsized_numbers five{1, 2, 3, 4, 5};
        auto frames_beside = [](int) -> task<std::size_t> {
            co_return weft::detail::frame_pool::live_frames();
        };
        auto most = [](std::size_t left, std::size_t right) { return left < right ? right : left; };
        for (std::size_t const limit : {std::size_t{5}, std::size_t{1'000'000}, size_max}) {
            CAPTURE(limit);
            auto work =
                weft::map_reduce(five, frames_beside, std::size_t{0}, most, {.limit = limit});
            CHECK(pool.block_on(std::move(work)) < 20);
        }
    }

    TEST_CASE("a nursery that is limited to no children starts them when the limit is raised") {
        weft::thread_pool pool({.workers = 2});
        std::atomic<int> ran = 0;
        auto child = [&]() -> task<> {
            ++ran;
            co_return;
        };
        auto spawns = [&](weft::nursery& n) -> task<> {
            (void)co_await n.spawn_when_free(child());
        };
        auto body = [&](weft::nursery& n) -> task<> {
            n.set_limit(0);
            n.spawn(spawns(n));
            for (int i = 0; i < 10; ++i) {
                co_await weft::yield();
            }
            CHECK(ran == 0);
            n.set_limit(size_max);
        };
        auto work = [&]() -> task<> { co_await weft::scope(body); };
        pool.block_on(work());
        CHECK(ran == 1);
    }

    TEST_CASE("a inline_tasks refuses a task too many") {
        weft::inline_tasks<int, 1> list;
        list.push_back(same(1));
        CHECK_THROWS_AS(list.push_back(same(2)), std::invalid_argument);
        CHECK(list.size() == 1);
    }

    TEST_CASE("a runtime has no more workers than it can have") {
        CHECK_THROWS_AS(weft::thread_pool({.workers = unsigned_max}), std::invalid_argument);
    }

    TEST_CASE("a blocking pool has a thread, and makes no more than there are calls") {
        CHECK_THROWS_AS(weft::blocking_pool({.threads_max = 0}), std::invalid_argument);
        weft::thread_pool pool({.workers = 1});
        weft::blocking_pool one({.threads_max = 1, .idle = 0ms});
        CHECK(pool.block_on(weft::blocking(one, [] { return 1; })) == 1);
        weft::blocking_pool wide({.threads_max = unsigned_max, .idle = std::chrono::hours::max()});
        CHECK(pool.block_on(weft::blocking(wide, [] { return 2; })) == 2);
        CHECK(wide.count().threads == 1);
    }

    TEST_CASE("policies refuse options that make no sense with an exception") {
        double const nan = std::nan("");
        check_refused<weft::bulkhead, weft::bulkhead_options>([](auto& o) { o.concurrent = 0; });
        check_refused<weft::retry, weft::retry_options>([](auto& o) { o.attempts = 0; });
        check_refused<weft::retry, weft::retry_options>([](auto& o) { o.pauses.factor = 0; });
        check_refused<weft::retry, weft::retry_options>([](auto& o) { o.pauses.first = 1h; });
        check_refused<weft::retry, weft::retry_options>([](auto& o) { o.pauses.longest = 0ns; });
        check_refused<weft::hedge, weft::hedge_options>([](auto& o) { o.attempts = 0; });
        check_refused<weft::hedge, weft::hedge_options>([](auto& o) { o.percentile = 2; });
        check_refused<weft::hedge, weft::hedge_options>([&](auto& o) { o.percentile = nan; });
        using budget_options = weft::retry_budget_options;
        check_refused<weft::retry_budget, budget_options>([](auto& o) { o.per_call = -1; });
        check_refused<weft::retry_budget, budget_options>([](auto& o) { o.per_call = 1e30; });
        check_refused<weft::retry_budget, budget_options>([&](auto& o) { o.per_call = nan; });
        check_refused<weft::debounce, weft::debounce_options>([](auto& o) { o.longest = 1ns; });
        using breaker_options = weft::circuit_breaker_options;
        check_refused<weft::circuit_breaker, breaker_options>([](auto& o) { o.window_calls = 0; });
        check_refused<weft::circuit_breaker, breaker_options>([](auto& o) { o.probes = 0; });
        check_refused<weft::circuit_breaker, breaker_options>([](auto& o) { o.failure_rate = 0; });
        using limiter_options = weft::rate_limiter_options;
        check_refused<weft::rate_limiter, limiter_options>([](auto& o) { o.limit = 0; });
        check_refused<weft::rate_limiter, limiter_options>([](auto& o) { o.period = 0ns; });
    }

    TEST_CASE("the largest options let calls run, and take memory for what there is") {
        weft::thread_pool pool({.workers = 1});
        auto work = []() -> task<int> { co_return 1; };
        weft::bulkhead bulkhead({.concurrent = size_max, .queued = size_max});
        CHECK(pool.block_on(bulkhead.run(work)) == 1);
        weft::retry retry({.attempts = unsigned_max});
        CHECK(pool.block_on(retry.run(work)) == 1);
        weft::hedge hedge({.attempts = unsigned_max, .samples = size_max});
        CHECK(pool.block_on(hedge.run(work)) == 1);
        weft::hedge at_once({.attempts = 5, .delay = 0ns});
        CHECK(pool.block_on(at_once.run(work)) == 1);
        weft::retry_budget const budget(
            {.per_call = 1'000, .per_second = unsigned_max, .saved_up_most = unsigned_max});
        CHECK(budget.counters().calls == 0);
        weft::circuit_breaker_options largest;
        largest.window_calls = unsigned_max;
        largest.minimum_calls = unsigned_max;
        largest.failures = unsigned_max;
        largest.probes = unsigned_max;
        weft::circuit_breaker breaker(largest);
        CHECK(pool.block_on(breaker.run(work)) == 1);
        for (auto const kind : {weft::rate_kind::token_bucket, weft::rate_kind::sliding_window}) {
            weft::rate_limiter_options unlimited;
            unlimited.kind = kind;
            unlimited.limit = unsigned_max;
            unlimited.burst = unsigned_max;
            unlimited.queued = size_max;
            weft::rate_limiter limiter(unlimited);
            CHECK(pool.block_on(limiter.run(work)) == 1);
        }
    }
}
