#pragma once

/// Tasks of one line from which the tests of combinators build theirs.

#include <weft/runtime/task/task.hpp>
#include <weft/runtime/time/sleep.hpp>

#include <atomic>
#include <chrono>
#include <stdexcept>

namespace weft::test {

inline task<int> value(int v) {
    co_return v;
}

inline task<int> fails(char const* text) {
    throw std::runtime_error(text);
    co_return 0;
}

inline task<int> value_after(clock::duration delay, int v) {
    co_await sleep_for(delay);
    co_return v;
}

inline task<int> fails_after(clock::duration delay, char const* text) {
    co_await sleep_for(delay);
    throw std::runtime_error(text);
}

/// Ends by a stop only.
inline task<int> forever() {
    co_await sleep_for(std::chrono::hours(24));
    co_return 0;
}

/// Does not look at the stop.
inline task<int> stubborn(std::chrono::milliseconds busy, int v) {
    auto const end = clock::now() + busy;
    while (clock::now() < end) {
    }
    co_return v;
}

/// Says when it runs, then ends by a stop only.
inline task<int> announced_forever(std::atomic<bool>& started) {
    started = true;
    co_await sleep_for(std::chrono::hours(24));
    co_return 0;
}

}  // namespace weft::test
