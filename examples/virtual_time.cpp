// How to test code that waits: the same policies as in a server, on a runtime whose time is
// virtual. Hours pass in no time, and every run prints the same. Run: virtual_time

#include <weft/runtime/join/when_all.hpp>
#include <weft/runtime/resilience/debounce.hpp>
#include <weft/runtime/resilience/rate_limiter.hpp>
#include <weft/runtime/resilience/single_flight.hpp>
#include <weft/runtime/resilience/throttle.hpp>
#include <weft/runtime/testing/test_runtime.hpp>
#include <weft/runtime/time/sleep.hpp>

#include <chrono>
#include <cstdio>
#include <string>
#include <utility>

namespace {

using namespace std::chrono_literals;

weft::task<int> save(int version) {
    co_await weft::sleep_for(5min);  // a slow disk
    co_return version;
}

/// An edit after `delay`, which is saved when nobody edits for a while.
weft::task<> edit(weft::debounce& autosave, weft::clock::duration delay, int version) {
    co_await weft::sleep_for(delay);
    auto call = autosave.run([version] { return save(version); });
    auto const saved = co_await std::move(call);
    std::printf("version %d: %s\n", version, saved ? "saved" : "superseded");
}

weft::task<> edits() {
    weft::debounce_options options;
    options.quiet = 10s;
    weft::debounce autosave(options);
    co_await weft::when_all(edit(autosave, 0s, 1), edit(autosave, 1s, 2), edit(autosave, 1h, 3));
}

weft::task<> reports() {
    weft::throttle_options options;
    options.interval = 1h;
    weft::throttle hourly(options);
    weft::rate_limiter_options limit;
    limit.limit = 2;
    limit.period = 24h;
    limit.longest_wait = 24h;
    weft::rate_limiter daily(limit);
    int hourly_runs = 0;
    int daily_runs = 0;
    for (int i = 0; i < 8; ++i) {
        auto count_hourly = [&hourly_runs]() -> weft::task<> {
            ++hourly_runs;
            co_return;
        };
        auto count_daily = [&daily_runs]() -> weft::task<> {
            ++daily_runs;
            co_return;
        };
        auto first = hourly.run(count_hourly);
        (void)co_await std::move(first);
        auto second = daily.run(count_daily);
        co_await std::move(second);
    }
    std::printf("hourly ran %d times, daily %d times\n", hourly_runs, daily_runs);
}

weft::task<> readers() {
    weft::single_flight<std::string, int> reads;
    int runs = 0;
    auto read = [&runs] {
        ++runs;
        return save(7);
    };
    auto first = reads.run("config", read);
    auto second = reads.run("config", read);
    auto const [a, b] = co_await weft::when_all(std::move(first), std::move(second));
    std::printf("two readers got %d and %d from %d read\n", a, b, runs);
}

}  // namespace

int main() {
    weft::test::runtime runtime;
    auto const start = runtime.now();
    runtime.block_on(edits());
    runtime.block_on(reports());
    runtime.block_on(readers());
    auto const hours = std::chrono::floor<std::chrono::hours>(runtime.now() - start).count();
    std::printf("%d hours have passed\n", static_cast<int>(hours));
}
