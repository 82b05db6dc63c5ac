// Every set of options is an aggregate: a call names what it changes.

#include <weft/runtime/testing/test_runtime.hpp>
#include <weft/weft.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <type_traits>

namespace {

using namespace std::chrono_literals;

template <class... T>
constexpr bool are_aggregates = (std::is_aggregate_v<T> && ...);

static_assert(are_aggregates<weft::runtime_options,
                             weft::thread_pool_options,
                             weft::test::runtime_options,
                             weft::blocking_pool_options,
                             weft::stop_options,
                             weft::stream_options,
                             weft::listen_options,
                             weft::keepalive_options,
                             weft::retry_options,
                             weft::backoff_options,
                             weft::retry_budget_options,
                             weft::hedge_options,
                             weft::bulkhead_options,
                             weft::circuit_breaker_options,
                             weft::rate_limiter_options,
                             weft::debounce_options,
                             weft::throttle_options>);

}  // namespace

TEST_SUITE("together/options") {
    TEST_CASE("a runtime of any sort takes options by name, in parentheses and in braces") {
        weft::runtime first({.workers = 1});
        weft::runtime second{
            {.workers = 2, .on_unhandled_error = [](std::exception_ptr const&) {}}};
        CHECK(first.worker_count() == 1);
        CHECK(second.worker_count() == 2);
        weft::thread_pool const third({.workers = 2});
        weft::thread_pool const fourth{{.workers = 1}};
        CHECK(third.worker_count() == 2);
        CHECK(fourth.worker_count() == 1);
        weft::test::runtime const fifth{{.workers = 2}};
        CHECK(fifth.worker_count() == 2);
    }

    TEST_CASE("what is built of options takes them by name") {
        weft::blocking_pool const threads({.threads_max = 2, .idle = 0.5s});
        weft::retry const again({.attempts = 2, .pauses = {.first = 10ms, .spread = {}}});
        weft::retry_budget const budget({.per_second = 1});
        weft::hedge const beside({.delay = 20ms});
        weft::bulkhead const narrow({.concurrent = 1});
        weft::circuit_breaker const breaker({.window_time = 1min, .counts = &weft::any_error});
        weft::rate_limiter const limiter({.limit = 10, .period = 1s, .longest_wait = 0s});
        weft::debounce const quiet({.quiet = 10ms});
        weft::throttle const slow({.interval = 10ms});
    }

    TEST_CASE("sockets take options by name, one set within another") {
        weft::tcp_listener const listener(
            weft::address::loopback_v4(0),
            {.backlog = 8,
             .accepted = {.keepalive = weft::keepalive_options{.idle = 1min},
                          .send_buffer_size = 0}});
        CHECK(listener.is_open());
    }
}
