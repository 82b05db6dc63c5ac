#include <weft/runtime/resilience/retry_budget.hpp>

#include <doctest/doctest.h>

#include <chrono>

namespace {

using namespace std::chrono_literals;
using weft::retry_budget;
using weft::retry_budget_options;

constexpr weft::clock::time_point start{1h};

int granted(retry_budget& budget, weft::clock::time_point now, int asked) {
    int count = 0;
    for (int i = 0; i < asked; ++i) {
        count += budget.withdraw(now) ? 1 : 0;
    }
    return count;
}

retry_budget_options options_of(double per_call, unsigned per_second, unsigned most) {
    retry_budget_options options;
    options.per_call = per_call;
    options.per_second = per_second;
    options.saved_up_most = most;
    return options;
}

}  // namespace

TEST_SUITE("runtime/resilience/retry_budget") {
    TEST_CASE("a budget starts with what can be saved up, and then is empty") {
        retry_budget budget(options_of(0, 0, 3));
        CHECK(granted(budget, start, 10) == 3);
        CHECK(granted(budget, start + 24h, 10) == 0);
        CHECK(budget.counters().granted == 3);
        CHECK(budget.counters().refused == 17);
    }

    TEST_CASE("calls earn their share of second attempts") {
        retry_budget budget(options_of(0.2, 0, 100));
        CHECK(granted(budget, start, 200) == 100);
        for (int i = 0; i < 50; ++i) {
            budget.deposit(start);
        }
        CHECK(granted(budget, start, 100) == 10);
        CHECK(budget.counters().calls == 50);
    }

    TEST_CASE("time earns second attempts, in small steps as much as in large ones") {
        retry_budget large(options_of(0, 10, 100));
        retry_budget small(options_of(0, 10, 100));
        CHECK(granted(large, start, 200) == 100);
        CHECK(granted(small, start, 200) == 100);
        int in_small_steps = 0;
        for (auto now = start; now <= start + 5s; now += 333us) {
            in_small_steps += granted(small, now, 2);
        }
        CHECK(granted(large, start + 5s, 200) == 50);
        CHECK(in_small_steps >= 49);
        CHECK(in_small_steps <= 50);
    }

    TEST_CASE("no more is saved up than the most") {
        retry_budget budget(options_of(1, 10, 5));
        for (int i = 0; i < 100; ++i) {
            budget.deposit(start);
        }
        CHECK(granted(budget, start, 100) == 5);
        CHECK(granted(budget, start + 24h * 365 * 100, 100) == 5);
    }

    TEST_CASE("a time that goes backwards earns nothing and takes nothing") {
        retry_budget budget(options_of(0, 10, 5));
        CHECK(granted(budget, start, 100) == 5);
        CHECK(granted(budget, start - 1min, 100) == 0);
        CHECK(granted(budget, start + 100ms, 100) == 1);
    }
}
