// sync_wait within a task that sync_wait runs.

#include <weft/runtime/join/when_all.hpp>
#include <weft/runtime/pool/runtime_base.hpp>
#include <weft/runtime/scope/stop_on.hpp>
#include <weft/runtime/scope/this_task.hpp>
#include <weft/runtime/task/as_result.hpp>
#include <weft/runtime/task/task.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <cstring>

TEST_SUITE_BEGIN("runtime/sync_wait");

namespace {

using weft::as_result;
using weft::sync_wait;
using weft::task;
using weft::when_all;

task<int> number(int value) {
    co_return value;
}

task<int> sum(int left, int right) {
    auto [a, b] = co_await when_all(number(left), number(right));
    co_return a + b;
}

// Uses at least `bytes` of the stack, then waits for a join.
[[gnu::noinline]] int deep_sum(std::size_t bytes) {
    std::byte here[4096];
    std::memset(here, 0, sizeof here);
    asm volatile("" : : "r"(here) : "memory");
    int const result = bytes > sizeof here ? deep_sum(bytes - sizeof here) : sync_wait(sum(1, 2));
    asm volatile("" : : "r"(here) : "memory");
    return result;
}

task<int> waits_within(std::size_t bytes) {
    co_return deep_sum(bytes);
}

task<int> waits_in_both_children(std::size_t bytes) {
    auto [a, b] = co_await when_all(waits_within(bytes), waits_within(bytes));
    co_return a + b;
}

task<int> stop_here() {
    co_await weft::this_task::stop_point();
    co_return 0;
}

task<> stopped_join() {
    co_await when_all(stop_here(), stop_here());
}

task<int> wait_for_stopped_joins(weft::stop_token token, int count) {
    int stopped = 0;
    for (int i = 0; i < count; ++i) {
        auto const ended = co_await as_result(with_stop_token(token, stopped_join()));
        stopped += ended ? 0 : 1;
    }
    co_return stopped;
}

}  // namespace

TEST_CASE("a join within a join's child ends, however much of the stack lies between") {
    for (std::size_t const kib : {1U, 16U, 48U, 256U}) {
        CAPTURE(kib);
        CHECK(sync_wait(waits_in_both_children(kib * 1024)) == 6);
    }
}

TEST_CASE("the outer join goes on after the inner wait") {
    auto const around = [](std::size_t bytes) -> task<int> {
        int const first = co_await waits_in_both_children(bytes);
        auto [a, b] = co_await when_all(sum(first, 1), waits_within(bytes));
        co_return a + b;
    };
    CHECK(sync_wait(around(std::size_t{64} * 1024)) == 10);
}

TEST_CASE("joins that a stop ends one after the other take no more stack than one") {
    weft::stop_source source;
    source.request_stop();
    CHECK(sync_wait(wait_for_stopped_joins(source.token(), 200'000)) == 200'000);
    auto const within = [](weft::stop_token token) -> task<> {
        co_await when_all(wait_for_stopped_joins(token, 200'000), number(1));
    };
    sync_wait(within(source.token()));
}

TEST_SUITE_END();
