#pragma once

/// Items to work through, and somebody who counts how many are worked on at a time.

#include <weft/runtime/task/task.hpp>
#include <weft/runtime/time/sleep.hpp>

#include <atomic>
#include <cstddef>
#include <numeric>
#include <vector>

namespace weft::test {

/// 0 ≤ i < count, in order.
[[nodiscard]] inline std::vector<int> numbers(int count) {
    std::vector<int> all(static_cast<std::size_t>(count));
    std::iota(all.begin(), all.end(), 0);
    return all;
}

/// Counts how many of its tasks run at a time.
class crowd {
public:
    task<int> enter(int number) {
        int const here = ++inside_;
        int seen = most_;
        while (seen < here && !most_.compare_exchange_weak(seen, here)) {
        }
        for (int i = 0; i < number % 4; ++i) {
            co_await weft::yield();
        }
        --inside_;
        ++entered_;
        co_return number;
    }

    [[nodiscard]] int most() const { return most_; }

    [[nodiscard]] int entered() const { return entered_; }

private:
    std::atomic<int> inside_{0};
    std::atomic<int> most_{0};
    std::atomic<int> entered_{0};
};

}  // namespace weft::test
