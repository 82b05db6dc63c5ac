#include <weft/runtime/fiber/detail/overflow_report.hpp>

#include <weft/runtime/base/config.hpp>
#include <weft/runtime/fiber/detail/fiber_stack.hpp>
#include <weft/runtime/fiber/fiber.hpp>
#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/tests/support/death.hpp>

#include <doctest/doctest.h>

#include <csignal>
#include <cstddef>
#include <cstring>
#include <string>

#include <unistd.h>

// Each case is about the first fiber of a process: the parent runs none.

using weft::fiber;
using weft::detail::fiber_stack;
using weft::test::death_of;

namespace {

constexpr std::size_t kib = 1024;
constexpr bool is_sanitized = weft::detail::asan_enabled || weft::detail::tsan_enabled;

// NOLINTNEXTLINE(misc-no-recursion): that is what is asked
[[gnu::noinline]] int recurse_for_ever(int depth) {
    char room[512];
    std::memset(room, depth, sizeof room);
    asm volatile("" : : "r"(room) : "memory");
    return depth < 0 ? 0 : recurse_for_ever(depth + 1) + room[depth % 512];
}

void overflow_one_fiber() {
    weft::thread_pool pool({.workers = 1});
    pool.block_on(fiber([] { return recurse_for_ever(0); }, {.stack_size = 32 * kib}));
}

/// Whether the process died of a fault. A sanitizer reports that, and ends the process itself.
bool died_of_fault(weft::test::death const& seen) {
    return is_sanitized || seen.signal == SIGSEGV;
}

}  // namespace

TEST_SUITE("runtime/fiber/overflow") {
    TEST_CASE("a stack that is used up kills the process, which says of what size it was") {
        auto const seen = death_of([] {
            std::signal(SIGSEGV, SIG_DFL);
            overflow_one_fiber();
        });
        INFO(seen.text);
        CHECK(seen.text.find("weft: a fiber has used up its stack of " +
                             std::to_string(32 * kib * fiber_stack::scale) +
                             " bytes: give it more, by weft::fiber(f, {.stack_size = ") !=
              std::string::npos);
        CHECK(died_of_fault(seen));
    }

    TEST_CASE("the handler that was there before has the last word") {
        auto const seen = death_of([] {
            std::signal(SIGSEGV, [](int) {
                [[maybe_unused]] auto const count = ::write(STDERR_FILENO, "mine", 4);
                ::_exit(3);
            });
            overflow_one_fiber();
        });
        CHECK(seen.text.find("used up its stack") != std::string::npos);
        CHECK(seen.text.find("mine") != std::string::npos);
    }

    TEST_CASE("another fault is not taken for the overflow of a fiber") {
        auto const seen = death_of([] {
            std::signal(SIGSEGV, SIG_DFL);
            weft::thread_pool pool({.workers = 1});
            pool.block_on(fiber([] {
                int* nowhere = nullptr;
                asm("" : "+r"(nowhere));
                // NOLINTNEXTLINE(clang-analyzer-core.NullDereference): that is what is asked
                *nowhere = 1;
            }));
        });
        CHECK(seen.text.find("used up its stack") == std::string::npos);
        CHECK((seen.signal != 0 || is_sanitized));
    }
}
