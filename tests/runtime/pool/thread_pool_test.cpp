#include <weft/runtime/pool/thread_pool.hpp>

#include <weft/runtime/testing/test_runtime.hpp>
#include <weft/tests/support/failing_allocations.hpp>
#include <weft/tests/support/skip.hpp>
#include <weft/tests/support/starved_of_threads.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <system_error>

TEST_SUITE("runtime/thread_pool") {
    TEST_CASE("a pool that gets too few threads throws system_error, and those it got end") {
        auto const seen = weft::test::outcome_with_threads(2, [] {
            try {
                weft::thread_pool const pool({.workers = 8});
            } catch (std::system_error const&) {
                return true;
            }
            return false;
        });
        if (seen == weft::test::starvation::not_here) {
            WEFT_SKIP("this user cannot be limited to a few threads");
        }
        CHECK(seen == weft::test::starvation::survived);
    }

#if !WEFT_TSAN
    TEST_CASE("a pool whose making runs out of memory throws, wherever, and leaves nothing") {
        std::atomic<int> heard = 0;
        auto const hears = [&heard](std::exception_ptr const&) { ++heard; };
        auto const make = [&hears] {
            weft::thread_pool const pool({.workers = 3, .on_unhandled_error = hears});
        };
        CHECK(weft::test::fail_each_allocation(make) > 3);
    }

    TEST_CASE("a runtime of virtual time that runs out of memory throws and leaves nothing") {
        CHECK(weft::test::fail_each_allocation(
                  [] { weft::test::runtime const rt({.workers = 3}); }) > 3);
    }

    TEST_CASE("a pool is made and runs after another could not be made") {
        weft::test::allocations_to_failure = 3;
        CHECK_THROWS_AS(weft::thread_pool({.workers = 2}), std::bad_alloc);
        weft::thread_pool pool({.workers = 2});
        auto work = []() -> weft::task<int> { co_return 7; };
        CHECK(pool.block_on(work()) == 7);
    }
#endif
}
