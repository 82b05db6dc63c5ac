#include <weft/runtime/base/config.hpp>
#include <weft/runtime/pool/runtime_base.hpp>
#include <weft/runtime/task/task.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <new>

#include <pthread.h>
#include <sys/mman.h>

namespace {

using weft::task;

constexpr std::int64_t rounds = 10'000'000;

/// GCC makes symmetric transfer a tail call only when it optimises and no sanitizer instruments the
/// function.
constexpr bool tail_calls_are_promised() {
#if defined(__clang__)
    return true;
#elif defined(__OPTIMIZE__) && !WEFT_ASAN && !WEFT_TSAN
    return true;
#else
    return false;
#endif
}

task<std::int64_t> one() {
    co_return 1;
}

task<std::int64_t> sum(std::int64_t count) {
    std::int64_t total = 0;
    for (std::int64_t i = 0; i < count; ++i) {
        total += co_await one();
    }
    co_return total;
}

/// Runs `body` on a thread whose stack has 64 KiB; an overflow hits the guard page and ends the
/// process.
void on_small_stack(void (*body)(std::int64_t*), std::int64_t* result) {
    constexpr std::size_t size = 64 * 1024;
    pthread_attr_t attributes;
    ::pthread_attr_init(&attributes);
    ::pthread_attr_setstacksize(&attributes, size);
    ::pthread_attr_setguardsize(&attributes, 4096);

    struct call {
        void (*body)(std::int64_t*);
        std::int64_t* result;
    } argument{body, result};

    pthread_t thread{};
    int const rc = ::pthread_create(
        &thread,
        &attributes,
        [](void* raw) -> void* {
            auto const& made = *static_cast<call*>(raw);
            made.body(made.result);
            return nullptr;
        },
        &argument);
    REQUIRE(rc == 0);
    ::pthread_join(thread, nullptr);
    ::pthread_attr_destroy(&attributes);
}

task<std::int64_t> chain(std::int64_t depth) {
    if (depth == 0) {
        co_return 0;
    }
    std::int64_t const below = co_await chain(depth - 1);
    co_return below + 1;
}

}  // namespace

TEST_SUITE("runtime/symmetric_transfer") {
    TEST_CASE("ten million synchronous awaits fit a stack of 64 KiB") {
        if (!tail_calls_are_promised()) {
            std::puts("skipped: this compiler mode does not promise tail calls");
            std::exit(77);
        }
        std::int64_t total = 0;
        on_small_stack([](std::int64_t* out) { *out = weft::sync_wait(sum(rounds)); }, &total);
        CHECK(total == rounds);
    }

    TEST_CASE("a chain of a hundred thousand nested awaits fits a stack of 64 KiB") {
        std::int64_t depth = 0;
        on_small_stack([](std::int64_t* out) { *out = weft::sync_wait(chain(100'000)); }, &depth);
        CHECK(depth == 100'000);
    }
}
