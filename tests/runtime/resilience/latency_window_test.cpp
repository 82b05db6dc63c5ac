#include <weft/runtime/resilience/detail/latency_window.hpp>

#include <doctest/doctest.h>

#include <chrono>

namespace {

using namespace std::chrono_literals;
using weft::detail::latency_window;

}  // namespace

TEST_SUITE("runtime/resilience/latency_window") {
    TEST_CASE("an empty window has no percentile") {
        latency_window window;
        CHECK(window.size() == 0);
        CHECK(window.percentile(0.5) == 0s);
    }

    TEST_CASE("a percentile is a duration that enough of the others do not exceed") {
        latency_window window;
        for (int ms = 100; ms >= 1; --ms) {
            window.add(std::chrono::milliseconds(ms));
        }
        CHECK(window.percentile(0.01) == 1ms);
        CHECK(window.percentile(0.5) == 50ms);
        CHECK(window.percentile(0.95) == 95ms);
        CHECK(window.percentile(1) == 100ms);
    }

    TEST_CASE("only the last durations count") {
        latency_window window;
        window.add(24h);
        for (std::size_t i = 0; i < latency_window::capacity; ++i) {
            window.add(1ms);
        }
        CHECK(window.size() == latency_window::capacity);
        CHECK(window.percentile(1) == 1ms);
    }
}
