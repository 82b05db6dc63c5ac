// Random programs of calls, awaits, throws and fibers, run on stacks of their own and, as the
// oracle, by plain calls that wait for nothing.

#include <weft/runtime/fiber/fiber.hpp>
#include <weft/runtime/join/when_all.hpp>
#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/time/sleep.hpp>
#include <weft/tests/support/seed.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <exception>
#include <string>
#include <utility>

using namespace std::chrono_literals;
using weft::fiber;
using weft::task;
namespace this_fiber = weft::this_fiber;

namespace {

using number = std::uint64_t;

/// The ways in which a program waits, and makes fibers; the oracle does neither.
struct on_fiber {
    static void wait(number kind) {
        switch (kind % 4) {
            case 0:
                this_fiber::yield();
                break;
            case 1:
                this_fiber::await(weft::sleep_for(1us));
                break;
            case 2:
                (void)this_fiber::await([]() -> task<int> {
                    co_await weft::yield();
                    co_return 1;
                }());
                break;
            default:
                this_fiber::await([]() -> task<> { co_return; }());
        }
    }

    template <class Function>
    static number apart(Function f, bool migrates) {
        return this_fiber::await(fiber(std::move(f), {.may_migrate = migrates}));
    }

    template <class Left, class Right>
    static number both(Left left, Right right) {
        auto const [a, b] =
            this_fiber::await(weft::when_all(fiber(std::move(left)), fiber(std::move(right))));
        return a * 3 + b;
    }
};

struct plainly {
    static void wait(number) {}

    template <class Function>
    static number apart(Function f, bool) {
        return f();
    }

    template <class Left, class Right>
    static number both(Left left, Right right) {
        number const a = left();
        number const b = right();
        return a * 3 + b;
    }
};

/// Counts how often it was made, and looks at the exceptions in hand when it goes.
struct guard {
    number* sum;

    ~guard() { *sum = *sum * 31 + static_cast<number>(std::uncaught_exceptions()); }
};

/// What comes of a program that may end by a throw.
template <class Function>
number result_of(Function f) {
    try {
        return f();
    } catch (number thrown) {
        return thrown + 1'000'000;
    }
}

template <class Way>
number program(number seed, int depth);

/// One step: a number, or a throw of one.
// NOLINTNEXTLINE(misc-no-recursion): programs are trees
template <class Way>
number step(weft::test::random_numbers& random, int depth) {
    number const seed = random.next();
    switch (random.below(depth > 0 ? 7 : 3)) {
        case 0:
            Way::wait(seed);
            return seed % 7;
        case 1:
            return seed % 5;
        case 2:
            throw seed % 11;
        case 3:
            return program<Way>(seed, depth - 1);
        case 4:
            return Way::apart([=] { return program<Way>(seed, depth - 1); }, seed % 2 == 0);
        case 5:
            // Errors as values: which of two comes first, and stops the other, is not the same.
            return Way::both(
                [=] { return result_of([=] { return program<Way>(seed, depth - 1); }); },
                [=] { return result_of([=] { return program<Way>(seed + 1, depth - 1); }); });
        default:
            Way::wait(seed + 1);
            return program<Way>(seed, depth - 1);
    }
}

/// Steps, some of them in handlers, so that several exceptions are in hand at once.
// NOLINTNEXTLINE(misc-no-recursion): programs are trees
template <class Way>
number program(number seed, int depth) {
    weft::test::random_numbers random(seed);
    number sum = 0;
    for (number i = 0, count = 1 + random.below(4); i < count; ++i) {
        bool const has_guard = random.one_in(2);
        bool const waits_in_handler = random.one_in(2);
        bool const rethrows = random.one_in(4);
        try {
            number ignored = 0;
            guard const watches{has_guard ? &sum : &ignored};
            sum = sum * 17 + step<Way>(random, depth);
        } catch (number thrown) {
            sum += thrown * 1'000;
            if (waits_in_handler) {
                Way::wait(thrown);
                if (depth > 0) {
                    sum += program<Way>(seed ^ thrown, depth - 1);
                }
            }
            sum += std::current_exception() != nullptr ? 1 : 0;
            if (rethrows && depth < 3) {
                throw;
            }
        }
    }
    return sum;
}

}  // namespace

TEST_SUITE("runtime/fiber/program") {
    TEST_CASE("random programs come to the same on fibers as by plain calls") {
        auto const seed = weft::test::fresh_seed();
        CAPTURE(seed);
        weft::test::random_numbers random(seed);
        weft::thread_pool pool({.workers = 3});
        int const rounds = weft::detail::tsan_enabled || weft::detail::asan_enabled ? 200 : 2'000;
        for (int i = 0; i < rounds; ++i) {
            number const each = random.next();
            CAPTURE(each);
            number const expected = result_of([=] { return program<plainly>(each, 4); });
            number const found = result_of(
                [&] { return pool.block_on(fiber([=] { return program<on_fiber>(each, 4); })); });
            REQUIRE(found == expected);
        }
    }
}
