// The memory that a join takes, what becomes of one where there is none for what it offers to
// thieves, and of one that is awaited twice.

#include <weft/runtime/join/detail/fork_join.hpp>

#include <weft/runtime/join/when_all.hpp>
#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/time/sleep.hpp>
#include <weft/tests/support/death.hpp>
#include <weft/tests/support/skip.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <new>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

namespace {

/// While it is set, there is no block of more than a page.
std::atomic<bool> memory_is_short{false};

/// How often there was none.
std::atomic<int> refusals{0};

/// How many blocks there have been.
std::atomic<int> blocks{0};

}  // namespace

#if !WEFT_TSAN
void* operator new(std::size_t size) {
    if (memory_is_short && size > 4096) {
        ++refusals;
        throw std::bad_alloc();
    }
    ++blocks;
    if (void* const block = std::malloc(size); block != nullptr) {
        return block;
    }
    throw std::bad_alloc();
}

void operator delete(void* block) noexcept {
    std::free(block);
}

void operator delete(void* block, std::size_t) noexcept {
    std::free(block);
}
#endif

namespace {

using weft::task;

task<int> number(int own, int turns) {
    for (int i = 0; i < turns; ++i) {
        co_await weft::yield();
    }
    co_return own;
}

/// As many as do not fit into a deque.
std::vector<task<int>> many(int count, int turns_of_first) {
    std::vector<task<int>> children;
    for (int i = 0; i < count; ++i) {
        children.push_back(number(i, i == 0 ? turns_of_first : 0));
    }
    return children;
}

}  // namespace

TEST_SUITE("runtime/fork_join") {
    TEST_CASE("a join of more children than there is memory to offer runs them all the same") {
#if WEFT_TSAN
        WEFT_SKIP("ThreadSanitizer has its own operator new");
#endif
        constexpr int count = 5'000;
        auto work = [](std::vector<task<int>> children, std::vector<int>& values) -> task<> {
            auto all = weft::when_all(std::span(children), std::span(values));
            memory_is_short = true;
            co_await all;
            memory_is_short = false;
        };
        for (unsigned const workers : {1U, 2U}) {
            for (int const turns : {0, 3}) {
                CAPTURE(workers);
                CAPTURE(turns);
                weft::thread_pool pool({.workers = workers});
                std::vector<int> values(count);
                int const before = refusals;
                pool.block_on(work(many(count, turns), values));
                CHECK(std::accumulate(values.begin(), values.end(), 0) == count * (count - 1) / 2);
                if (turns != 0) {
                    CHECK(refusals > before);
                }
            }
        }
    }

    TEST_CASE("a join of which nothing is stolen, and nothing waits, takes no memory") {
#if WEFT_TSAN
        WEFT_SKIP("ThreadSanitizer has its own operator new");
#endif
        auto work = []() -> task<int> {
            int taken = 0;
            for (int i = 0; i < 100; ++i) {
                auto two = weft::when_all(number(1, 0), number(2, 0));
                int const before = blocks;
                (void)co_await two;
                taken += blocks - before;
            }
            co_return taken;
        };
        weft::thread_pool pool({.workers = 1});
        CHECK(pool.block_on(work()) == 0);
    }

#if WEFT_ASSERTS
    TEST_CASE("a join that is awaited twice is a clear end") {
        auto const seen = weft::test::death_of([] {
            auto work = []() -> task<> {
                auto both = weft::when_all(number(1, 0), number(2, 0));
                (void)co_await both;
                (void)co_await both;
            };
            weft::sync_wait(work());
        });
        CHECK(seen.signal == SIGABRT);
        CHECK(seen.text.find("a when_all is awaited twice") != std::string::npos);
    }
#endif
}
