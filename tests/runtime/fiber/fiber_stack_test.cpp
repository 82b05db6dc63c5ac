#include <weft/runtime/fiber/detail/fiber_stack.hpp>

#include <weft/runtime/base/config.hpp>
#include <weft/runtime/fiber/fiber.hpp>
#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/scope/scope.hpp>
#include <weft/runtime/time/sleep.hpp>
#include <weft/tests/support/death.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <barrier>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

using namespace std::chrono_literals;
using weft::fiber;
using weft::nursery;
using weft::task;
using weft::detail::fiber_stack;
using weft::test::death_of;
namespace this_fiber = weft::this_fiber;

namespace {

constexpr std::size_t kib = 1024;
constexpr std::size_t kept_size = 4096 * kib;
constexpr bool is_sanitized = weft::detail::asan_enabled || weft::detail::tsan_enabled;

/// Resident pages of this process, in bytes.
std::size_t resident_bytes() {
    std::size_t total = 0;
    std::size_t resident = 0;
    std::FILE* const file = std::fopen("/proc/self/statm", "r");
    REQUIRE(file != nullptr);
    REQUIRE(std::fscanf(file, "%zu %zu", &total, &resident) == 2);
    std::fclose(file);
    return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

/// Counts who is in it.
class inside {
public:
    explicit inside(std::atomic<int>& count) : count_(count) { ++count_; }

    inside(inside const&) = delete;
    inside& operator=(inside const&) = delete;

    ~inside() { --count_; }

private:
    std::atomic<int>& count_;
};

std::size_t mappings() {
    std::FILE* const file = std::fopen("/proc/self/maps", "r");
    REQUIRE(file != nullptr);
    std::size_t lines = 0;
    for (int c = std::fgetc(file); c != EOF; c = std::fgetc(file)) {
        lines += c == '\n' ? 1 : 0;
    }
    std::fclose(file);
    return lines;
}

}  // namespace

TEST_SUITE("runtime/fiber/stack") {
    TEST_CASE("a stack is at least as large as asked for, and usable to its last byte") {
        for (std::size_t const size : {16 * kib, 17 * kib, 64 * kib, 1000 * kib}) {
            fiber_stack const stack(size);
            CHECK(stack.size() >= size * fiber_stack::scale);
            CHECK(stack.top() == stack.bottom() + stack.size());
            std::memset(stack.bottom(), 1, stack.size());
        }
    }

    TEST_CASE("the stack that came back last is given out first") {
        fiber_stack::trim();
        std::byte* first = nullptr;
        std::byte* second = nullptr;
        {
            fiber_stack const a(64 * kib);
            fiber_stack const b(64 * kib);
            first = a.bottom();
            second = b.bottom();
        }
        CHECK(fiber_stack::pooled_bytes() == 2 * 64 * kib * fiber_stack::scale);
        fiber_stack const other(128 * kib);
        CHECK(other.bottom() != first);
        CHECK(other.bottom() != second);
        fiber_stack const again(64 * kib);
        CHECK(again.bottom() == first);
        CHECK(fiber_stack(60 * kib).bottom() == second);
    }

    TEST_CASE("the pool keeps no more than its bound") {
        fiber_stack::trim();
        {
            std::vector<fiber_stack> many;
            for (int i = 0; i < 100; ++i) {
                many.emplace_back(1024 * kib);
            }
        }
        CHECK(fiber_stack::pooled_bytes() <= fiber_stack::pooled_max);
        CHECK(fiber_stack::pooled_bytes() > fiber_stack::pooled_max / 2);
        fiber_stack::trim();
        CHECK(fiber_stack::pooled_bytes() == 0);
    }

    TEST_CASE("the pool keeps no more than its bound, whoever gives stacks back at the same time") {
        constexpr int givers = 4;
        fiber_stack::trim();
        for (int round = 0; round < 500; ++round) {
            std::vector<fiber_stack> kept;
            while ((kept.size() + 1) * kept_size < fiber_stack::pooled_max) {
                kept.emplace_back(kept_size / fiber_stack::scale);
            }
            std::barrier all(givers + 1);
            std::vector<std::thread> threads;
            for (int i = 0; i < givers; ++i) {
                threads.emplace_back([&all] {
                    auto own = std::make_unique<fiber_stack>(kept_size / fiber_stack::scale);
                    all.arrive_and_wait();
                    all.arrive_and_wait();
                    own.reset();
                });
            }
            all.arrive_and_wait();
            kept.clear();  // one more fits in
            all.arrive_and_wait();
            for (std::thread& each : threads) {
                each.join();
            }
            REQUIRE(fiber_stack::pooled_bytes() <= fiber_stack::pooled_max);
        }
        fiber_stack::trim();
    }

    TEST_CASE("a fiber takes the stack of the one before it") {
        fiber_stack::trim();
        weft::thread_pool pool({.workers = 1});
        auto address = [] {
            char local = 0;
            this_fiber::yield();
            return reinterpret_cast<std::uintptr_t>(&local) / (64 * kib);
        };
        auto const first = pool.block_on(fiber(address));
        std::size_t const kept = fiber_stack::pooled_bytes();
        for (int i = 0; i < 100; ++i) {
            CHECK((pool.block_on(fiber(address)) == first || weft::detail::asan_enabled));
        }
        CHECK(fiber_stack::pooled_bytes() == kept);
    }

    TEST_CASE("what is written below a stack faults") {
        for (bool const pooled : {false, true}) {
            fiber_stack::trim();
            if (pooled) {
                fiber_stack const before(16 * kib);
            }
            for (std::size_t const below : {std::size_t{1}, 8 * kib}) {
                auto const seen = death_of([below] {
                    std::signal(SIGSEGV, SIG_DFL);
                    fiber_stack const stack(16 * kib);
                    std::byte* at = stack.bottom() - below;
                    asm("" : "+r"(at));
                    *at = std::byte{1};
                    std::fputs("written", stderr);
                });
                CHECK(seen.text.find("written") == std::string::npos);
            }
        }
    }

    TEST_CASE("a stack without a guard is refused, with the limit that is in the way") {
        // Guards that take a mapping each; the sanitizers' own mappings count as well.
        char const* const switched = std::getenv("WEFT_GUARD_INSTALL");
        if (is_sanitized || switched == nullptr || std::string(switched) != "0") {
            return;
        }
        auto const seen = death_of([] {
            std::vector<fiber_stack> many;
            many.reserve(100'000);
            try {
                while (many.size() < many.capacity()) {
                    many.emplace_back(16 * kib);
                }
            } catch (std::system_error const& error) {
                many.clear();
                std::fputs(error.what(), stderr);
            }
        });
        CHECK(seen.text.find("vm.max_map_count") != std::string::npos);
        CHECK(seen.signal == 0);
    }

    TEST_CASE("a fiber without a stack fails where it is awaited, and leaves nothing behind") {
        if (is_sanitized) {
            return;  // a limit on the address space, of which they need most
        }
        auto const seen = death_of([] {
            weft::thread_pool pool({.workers = 1});
            ::rlimit const limit{std::size_t{1} << 30U, std::size_t{1} << 30U};
            ::setrlimit(RLIMIT_AS, &limit);
            for (int i = 0; i < 3; ++i) {
                try {
                    pool.block_on(fiber([] {}, {.stack_size = std::size_t{1} << 30U}));
                } catch (std::system_error const& error) {
                    std::fputs(error.code() == std::errc::not_enough_memory ? "refused\n" : "?\n",
                               stderr);
                }
            }
            pool.block_on(fiber([] {}));
        });
        CHECK(seen.text == "refused\nrefused\nrefused\n");
    }
}

TEST_SUITE("runtime/fiber/many") {
    TEST_CASE("ten thousand fibers wait at once, in the pages that they use") {
        // ThreadSanitizer knows 8,000 threads and fibers at most.
        constexpr int count = weft::detail::tsan_enabled ? 1'000 : 10'000;
        weft::thread_pool pool({.workers = 2});
        fiber_stack::trim();
        std::size_t const before = resident_bytes();
        std::size_t const mappings_before = mappings();
        std::size_t peak = 0;
        std::size_t most_mappings = 0;
        int waiting = 0;
        std::atomic<int> alive{0};
        auto body = [&](nursery& n) -> task<> {
            for (int i = 0; i < count; ++i) {
                n.spawn(fiber([&] {
                    inside const counted(alive);
                    this_fiber::await(weft::sleep_for(24h));
                }));
            }
            while (alive != count) {
                co_await weft::yield();
            }
            waiting = alive;
            peak = resident_bytes();
            most_mappings = mappings();
            n.request_stop();
        };
        pool.block_on([&] { return weft::scope(body); });
        CHECK(waiting == count);
        CHECK(alive == 0);
        std::size_t const each = (peak - std::min(before, peak)) / count;
        MESSAGE(each << " bytes resident for each, " << most_mappings - mappings_before
                     << " mappings more");
        CHECK((is_sanitized || each < 16 * kib));
        CHECK(fiber_stack::pooled_bytes() <= fiber_stack::pooled_max);
    }
}
