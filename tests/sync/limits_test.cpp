// Counts and capacities may come from data: whatever they are, no call aborts the process, and none
// takes memory for more than there is.

#include <limits>

#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/scope/scope.hpp>
#include <weft/sync/channels/broadcast.hpp>
#include <weft/sync/channels/channel.hpp>
#include <weft/sync/channels/priority_channel.hpp>
#include <weft/sync/locks/barrier.hpp>
#include <weft/sync/locks/latch.hpp>
#include <weft/sync/locks/semaphore.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <new>
#include <stdexcept>
#include <vector>

using weft::full_policy;
using weft::task;

namespace {

constexpr std::size_t size_max = std::numeric_limits<std::size_t>::max();

}  // namespace

TEST_SUITE("sync/limits") {
    TEST_CASE("recv_many takes what is there under every limit, and room for no more than fits") {
        weft::thread_pool pool({.workers = 1});
        for (std::size_t const limit : {std::size_t{0},
                                        std::size_t{1},
                                        std::size_t{3},
                                        std::size_t{100'000'000},
                                        size_max - 1,
                                        size_max}) {
            CAPTURE(limit);
            weft::channel<int> numbers(8);
            std::vector<int> target{0};
            for (int i = 1; i <= 5; ++i) {
                (void)numbers.try_send(i);
            }
            std::size_t const expected = limit < 5 ? limit : 5;
            CHECK(pool.block_on(numbers.recv_many(target, limit)) == expected);
            CHECK(target.size() == 1 + expected);
            CHECK(target.capacity() <= 128);
        }
    }

    TEST_CASE("a vector that recv_many fills bit by bit grows like one that is pushed to") {
        weft::thread_pool pool({.workers = 1});
        weft::channel<std::size_t> numbers(1);
        std::vector<std::size_t> target;
        std::size_t growths = 0;
        auto work = [&]() -> task<> {
            for (std::size_t i = 0; i < 10'000; ++i) {
                (void)numbers.try_send(i);
                std::size_t const room = target.capacity();
                co_await numbers.recv_many(target, 1);
                growths += target.capacity() != room ? 1 : 0;
            }
        };
        pool.block_on(work());
        CHECK(target.size() == 10'000);
        CHECK(growths < 20);
    }

    TEST_CASE("channels refuse what they cannot be with an exception") {
        using narrow = weft::channel<int>;
        using sorted = weft::priority_channel<int>;
        CHECK_THROWS_AS(narrow(0, full_policy::drop_oldest), std::invalid_argument);
        CHECK_THROWS_AS(narrow{size_max}, std::bad_alloc);
        CHECK_THROWS_AS(sorted{0}, std::invalid_argument);
        CHECK_THROWS_AS(sorted(2, full_policy::drop_oldest), std::invalid_argument);
        CHECK_THROWS_AS(sorted{size_max}, std::bad_alloc);
        CHECK_THROWS_AS(weft::broadcast<int>{0}, std::invalid_argument);
        CHECK_THROWS_AS(weft::broadcast<int>{size_max}, std::bad_alloc);
        CHECK_THROWS_AS((void)weft::make_channel<int>(0, full_policy::drop_oldest),
                        std::invalid_argument);
        narrow rendezvous(0);
        CHECK(rendezvous.capacity() == 0);
        narrow drops(0, full_policy::drop_newest);
        CHECK(drops.try_send(1));
        CHECK(drops.dropped_count() == 1);
    }

    TEST_CASE("a semaphore refuses counts that it can never have with an exception") {
        using weft::semaphore;
        CHECK_THROWS_AS(semaphore{size_max}, std::invalid_argument);
        CHECK_THROWS_AS(semaphore(0, size_max), std::invalid_argument);
        CHECK_THROWS_AS(semaphore(3, 2), std::invalid_argument);
        semaphore most(semaphore::permits_max);
        CHECK(most.available() == semaphore::permits_max);
        semaphore two(1, 2);
        CHECK_THROWS_AS((void)two.acquire(3), std::invalid_argument);
        CHECK_THROWS_AS((void)two.scoped_acquire(size_max), std::invalid_argument);
        CHECK_FALSE(two.try_acquire(size_max));
        CHECK_FALSE(two.try_scoped_acquire(3));
        CHECK(two.available() == 1);
    }

    TEST_CASE("a count of 0 waits for nobody") {
        weft::thread_pool pool({.workers = 1});
        auto work = []() -> task<> {
            weft::semaphore none(0, 0);
            co_await none.acquire(0);
            none.release(0);
            weft::semaphore taken(1);
            co_await taken.acquire();
            co_await taken.acquire(0);
            weft::latch open(0);
            co_await open.wait();
            open.count_down(0);
            co_await open.arrive_and_wait(0);
        };
        pool.block_on(work());
    }

    TEST_CASE("latches and barriers refuse counts that they cannot have with an exception") {
        CHECK_THROWS_AS(weft::latch{size_max}, std::invalid_argument);
        CHECK_THROWS_AS(weft::barrier<>{0}, std::invalid_argument);
        weft::latch const most(weft::latch::count_max);
        CHECK(most.count() == weft::latch::count_max);
        weft::barrier<> everybody(size_max);
        everybody.arrive_and_drop();
    }
}
