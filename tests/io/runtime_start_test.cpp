#include <weft/io/runtime.hpp>
#include <weft/tests/support/failing_allocations.hpp>
#include <weft/tests/support/fd_count.hpp>
#include <weft/tests/support/skip.hpp>
#include <weft/tests/support/starved_of_threads.hpp>

#include <doctest/doctest.h>

#include <system_error>

namespace {

using weft::runtime;
using weft::runtime_options;

runtime_options three_workers() {
    return {.workers = 3, .on_unhandled_error = [](std::exception_ptr const&) {}};
}

}  // namespace

TEST_SUITE("io/runtime_start") {
    TEST_CASE("a runtime that gets too few threads throws system_error, and those it got end") {
        auto const seen = weft::test::outcome_with_threads(2, [] {
            std::size_t const fds = weft::test::fd_count();
            try {
                runtime const rt(three_workers());
            } catch (std::system_error const&) {
                return weft::test::fd_count() == fds;
            }
            return false;
        });
        if (seen == weft::test::starvation::not_here) {
            WEFT_SKIP("this user cannot be limited to a few threads");
        }
        CHECK(seen == weft::test::starvation::survived);
    }

#if !WEFT_TSAN
    TEST_CASE("a runtime whose making runs out of memory throws, wherever, and leaves nothing") {
        {
            runtime const first(three_workers());
        }
        std::size_t const fds = weft::test::fd_count();
        CHECK(weft::test::fail_each_allocation([&] {
                  {
                      runtime const rt(three_workers());
                  }
              }) > 3);
        CHECK(weft::test::fd_count() == fds);
    }
#endif
}
