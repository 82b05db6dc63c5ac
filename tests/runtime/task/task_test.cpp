#include <weft/runtime/task/task.hpp>

#include <weft/runtime/join/when_all.hpp>
#include <weft/runtime/pool/runtime_base.hpp>
#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/time/sleep.hpp>
#include <weft/tests/support/counted.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>

namespace {

using weft::sync_wait;
using weft::task;

static_assert(!std::is_copy_constructible_v<task<int>>);
static_assert(std::is_nothrow_move_constructible_v<task<int>>);
static_assert(sizeof(task<int>) == sizeof(void*));

task<int> answer() {
    co_return 42;
}

task<std::uint64_t> answer_of_another_type() {
    co_return 42;
}

task<> set(bool& ran) {
    ran = true;
    co_return;
}

task<std::unique_ptr<int>> boxed(int value) {
    co_return std::make_unique<int>(value);
}

task<int&> reference_to(int& target) {
    co_return target;
}

task<int> fails() {
    throw std::runtime_error("broken");
    co_return 0;
}

/// Counts how many are alive.
class counter {
public:
    explicit counter(int& live) noexcept : live_(&live) { ++*live_; }

    counter(counter const& other) noexcept : live_(other.live_) { ++*live_; }

    counter& operator=(counter const&) = delete;

    ~counter() { --*live_; }

private:
    int* live_;
};

/// Not inlined, so that the compiler cannot put the frame on the caller's stack.
[[gnu::noinline]] task<> holds(counter) {
    co_return;
}

struct alignas(128) wide {
    explicit wide(int v) noexcept : value(v) {}

    int value;
};

task<wide> over_aligned() {
    co_return wide(7);
}

template <std::size_t Count>
struct alignas(64) cache_lines {
    unsigned char bytes[64 * Count] = {};
};

/// Where the object really lies, whatever the compiler believes about its type.
[[gnu::noinline]] std::uintptr_t misplacement(void const* object) {
    auto address = reinterpret_cast<std::uintptr_t>(object);
    asm volatile("" : "+r"(address));
    return address % 64;
}

task<std::uintptr_t> misplacement_of_local() {
    cache_lines<2> local;
    co_await weft::yield();
    co_return misplacement(&local);
}

template <std::size_t Count>
task<std::uintptr_t> misplacement_of_argument(cache_lines<Count> argument) {
    co_await weft::yield();
    co_return misplacement(&argument);
}

}  // namespace

TEST_SUITE("runtime/task") {
    TEST_CASE("a task does not run before it is awaited") {
        bool ran = false;
        {
            auto work = set(ran);
            CHECK(!ran);
        }
        CHECK(!ran);
        sync_wait(set(ran));
        CHECK(ran);
    }

    TEST_CASE("a task yields the value that it returns") {
        CHECK(sync_wait(answer()) == 42);
    }

    TEST_CASE("a task takes a value of a type that converts to its own") {
        CHECK(sync_wait(answer_of_another_type()) == 42);
    }

    TEST_CASE("a task yields a move-only value without copying it") {
        CHECK(*sync_wait(boxed(5)) == 5);
    }

    TEST_CASE("a task yields a reference to the very object") {
        int target = 1;
        CHECK(&sync_wait(reference_to(target)) == &target);
    }

    TEST_CASE("over-aligned locals and arguments are aligned in the frame") {
        weft::thread_pool pool({.workers = 1});
        for (int i = 0; i < 20; ++i) {
            std::unique_ptr<char[]> const shift(new char[static_cast<std::size_t>(i) * 16 + 1]);
            CHECK(pool.block_on(misplacement_of_local()) == 0);
            CHECK(pool.block_on(misplacement_of_argument(cache_lines<1>())) == 0);
            CHECK(pool.block_on(misplacement_of_argument(cache_lines<40>())) == 0);
        }
    }

    TEST_CASE("a value with a larger alignment than the heap's is aligned in the frame") {
        auto check = []() -> task<bool> {
            auto work = over_aligned();
            wide const value = co_await std::move(work);
            co_return value.value == 7;
        };
        CHECK(sync_wait(check()));
    }

    TEST_CASE("an exception that leaves a task is rethrown where it is awaited") {
        auto caught = []() -> task<std::string> {
            std::string text;
            try {
                co_await fails();
            } catch (std::runtime_error const& error) {
                text = error.what();
            }
            co_return text;
        };
        CHECK(sync_wait(caught()) == "broken");
        CHECK_THROWS_AS((void)sync_wait(fails()), std::runtime_error);
    }

    TEST_CASE("an exception from a local's destructor after co_return replaces the value") {
        struct bomb {
            ~bomb() noexcept(false) { throw std::runtime_error("late"); }
        };

        auto late = []() -> task<std::string> {
            bomb const armed{};
            co_return std::string("value that is dropped, long enough to be on the heap");
        };
        CHECK_THROWS_AS((void)sync_wait(late()), std::runtime_error);
    }

    TEST_CASE("a value that a local's destructor has withdrawn dies before the next one is made") {
        struct bomb {
            ~bomb() noexcept(false) { throw std::runtime_error("late"); }
        };

        static weft::test::object_count count;

        struct fickle {
            explicit fickle(bool fails) : value(count, fails ? 2 : 1) {
                if (fails) {
                    throw std::runtime_error("later");
                }
            }

            weft::test::counted value;
        };

        auto second = [](bool fails) -> task<fickle> {
            try {
                bomb const armed{};
                co_return fickle(false);
            } catch (std::runtime_error const&) {
            }
            co_return fails;
        };
        auto both = [&](bool fails) -> task<> {
            co_await weft::when_all(second(fails), second(fails));
        };
        CHECK(sync_wait(second(false)).value.value == 1);
        CHECK_THROWS_AS((void)sync_wait(second(true)), std::runtime_error);
        sync_wait(both(false));
        CHECK_THROWS_AS(sync_wait(both(true)), std::runtime_error);
        CHECK(count.alive == 0);
    }

    TEST_CASE("the locals of an awaited task die before its awaiter goes on") {
        int live = 0;
        auto inner = [](int& count) -> task<int> {
            counter const local(count);
            co_return count;
        };
        auto outer = [&]() -> task<int> {
            int const during = co_await inner(live);
            co_return during * 10 + live;
        };
        CHECK(sync_wait(outer()) == 10);
    }

    TEST_CASE("a task that was never awaited frees its frame and its arguments") {
        int live = 0;
        auto const before = weft::detail::frame_pool::live_frames();
        {
            auto work = holds(counter(live));
            CHECK(live == 1);
            CHECK(weft::detail::frame_pool::live_frames() == before + 1);
        }
        CHECK(live == 0);
        CHECK(weft::detail::frame_pool::live_frames() == before);
    }

    TEST_CASE("moving a task leaves the source empty and assignment frees the target") {
        int live = 0;
        auto first = holds(counter(live));
        auto second = holds(counter(live));
        CHECK(live == 2);
        second = std::move(first);
        CHECK(live == 1);
        CHECK(!first);  // NOLINT(bugprone-use-after-move): that is what is tested
        CHECK(second);
    }
}
