#include <weft/runtime/join/when_all.hpp>
#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/time/sleep.hpp>
#include <weft/sync/channels/channel.hpp>
#include <weft/tests/support/allocations.hpp>
#include <weft/tests/support/sync_turns.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>

// No operation of sync/ takes memory, whether it waits or not: two tasks hold each other up again
// and again, and the memory that is asked for meanwhile is counted. An unbounded channel grows.

namespace {

using weft::task;
using namespace weft::test;

template <class Turn>
task<> begin_to_wait(Turn& turn, bool& begun) {
    begun = true;
    co_await turn.wait();
}

template <class Turn>
task<> let_go_afterwards(Turn& turn, bool const& begun, int& in_order) {
    in_order += begun ? 1 : 0;
    co_await turn.let_go();
}

template <class Turn>
task<> take_turn(Turn& turn, int& in_order) {
    bool begun = false;
    turn.hold();
    (void)co_await weft::when_all(begin_to_wait(turn, begun),
                                  let_go_afterwards(turn, begun, in_order));
}

template <class Turn>
task<std::size_t> allocations_of(Turn& turn, int rounds) {
    int in_order = 0;
    for (int i = 0; i < 100; ++i) {
        co_await take_turn(turn, in_order);  // fills the pools of frames
    }
    std::size_t const before = allocations;
    for (int i = 0; i < rounds; ++i) {
        co_await take_turn(turn, in_order);
    }
    CHECK(in_order == 100 + rounds);
    co_return allocations - before;
}

}  // namespace

TEST_SUITE("sync/allocation") {
    TEST_CASE_TEMPLATE("an operation that waits, and the one that wakes it, take no memory",
                       Turn,
                       WEFT_SYNC_TURNS) {
        weft::thread_pool pool({.workers = 1});
        Turn turn;
        CHECK(pool.block_on(allocations_of(turn, 1'000)) == 0);
    }

    TEST_CASE("an unbounded channel takes blocks for what it holds, and gives all but one back") {
        constexpr std::size_t count = 100'000;
        constexpr std::size_t values_per_block = 4096 / sizeof(std::uint64_t);
        constexpr std::size_t blocks = (count + values_per_block - 1) / values_per_block;
        weft::unbounded_channel<std::uint64_t> numbers;
        auto const held = [before = allocations - releases] {
            return allocations - releases - before;
        };
        for (std::uint64_t i = 0; i < count; ++i) {
            CHECK(numbers.try_send(i).has_value());
        }
        CHECK(held() <= 2 * blocks);  // a block, and its values
        while (numbers.try_recv().has_value()) {
        }
        CHECK(held() <= 2 * 2);  // the last block, and one in reserve
        std::size_t const before = allocations;
        for (std::uint64_t i = 0; i < count; ++i) {
            CHECK(numbers.try_send(i).has_value());
            CHECK(numbers.try_recv().has_value());
        }
        CHECK(allocations == before);
    }
}
