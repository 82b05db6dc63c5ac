// Fibers for which there is no memory. Run with WEFT_FRAME_POOL=0, so that each frame is allocated.

#include <weft/runtime/base/config.hpp>
#include <weft/runtime/fiber/fiber.hpp>
#include <weft/runtime/join/when_all.hpp>
#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/time/sleep.hpp>
#include <weft/tests/support/failing_allocations.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <string>

using weft::fiber;
using weft::task;
namespace this_fiber = weft::this_fiber;

namespace {

task<std::string> text() {
    co_await weft::yield();
    co_return std::string(100, 'x');
}

}  // namespace

TEST_SUITE("runtime/fiber/memory") {
    TEST_CASE("every allocation for a fiber, and on one, may fail, and leaves nothing behind") {
        if (weft::detail::tsan_enabled) {
            return;
        }
        weft::thread_pool pool({.workers = 1});
        auto outer = [] {
            auto inner = [] { return this_fiber::await(text()) + this_fiber::await(text()); };
            return this_fiber::await(fiber(inner)) + this_fiber::await(text());
        };
        std::size_t length = 0;
        auto make = [&] { length = pool.block_on(fiber(outer)).size(); };
        CHECK(weft::test::fail_each_allocation(make) > 3);
        CHECK(length == 300);
    }
}
