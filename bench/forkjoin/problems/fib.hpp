#pragma once

// The n-th Fibonacci number by its definition: nothing but forks and joins, fib(n) of them.

#include <cstdint>

namespace forkjoin {

inline constexpr std::uint64_t fib_size = 39;
inline constexpr std::uint64_t fib_size_max = 60;

constexpr std::uint64_t fibonacci_number(std::uint64_t n) noexcept {
    std::uint64_t current = 0;
    std::uint64_t next = 1;
    for (std::uint64_t i = 0; i < n; ++i) {
        std::uint64_t const sum = current + next;
        current = next;
        next = sum;
    }
    return current;
}

}  // namespace forkjoin
