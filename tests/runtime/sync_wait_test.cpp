// sync_wait within a task that sync_wait runs.

#include <weft/runtime/runtime_base.hpp>
#include <weft/runtime/task.hpp>
#include <weft/runtime/when_all.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <cstring>

TEST_SUITE_BEGIN("runtime/sync_wait");

namespace {

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

TEST_SUITE_END();
