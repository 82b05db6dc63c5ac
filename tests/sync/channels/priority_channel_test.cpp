#include <weft/sync/channels/priority_channel.hpp>

#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/scope/scope.hpp>
#include <weft/runtime/time/sleep.hpp>
#include <weft/tests/support/counted.hpp>
#include <weft/tests/support/seed.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace {

using weft::nursery;
using weft::priority_channel;
using weft::task;
using weft::test::counted;
using weft::test::object_count;

struct by_value {
    bool operator()(counted const& left, counted const& right) const noexcept {
        return left.value < right.value;
    }
};

struct job {
    job(int how_urgent, int which) noexcept : urgency(how_urgent), number(which) {}

    friend bool operator<(job const& left, job const& right) noexcept {
        return left.urgency < right.urgency;
    }

    int urgency;
    int number;
};

}  // namespace

TEST_SUITE("sync/priority_channel") {
    TEST_CASE("the greatest value leaves first, whatever came first") {
        auto const seed = weft::test::fresh_seed();
        CAPTURE(seed);
        weft::test::random_numbers random(seed);
        object_count objects;
        {
            priority_channel<counted, by_value> values(200);
            for (int i = 0; i < 200; ++i) {
                CHECK(values.try_send(counted(objects, static_cast<int>(random.below(50))))
                          .has_value());
            }
            counted refused(objects, 1);
            CHECK_FALSE(values.try_send(std::move(refused)).has_value());
            CHECK(refused.value == 1);
            int last = 50;
            for (int i = 0; i < 150; ++i) {
                int const value = values.try_recv()->value;
                CHECK(value <= last);
                last = value;
            }
            CHECK(objects.alive == 51);
            CHECK(values.high_water() == 200);
        }
        CHECK(objects.alive == 0);
    }

    TEST_CASE("equal values leave in the order in which they came, through any mixture") {
        auto const seed = weft::test::fresh_seed();
        CAPTURE(seed);
        weft::test::random_numbers random(seed);
        priority_channel<job> jobs(16);
        std::vector<job> expected;  // the oldest first
        int number = 0;
        for (int round = 0; round < 5000; ++round) {
            if (expected.size() < 16 && random.one_in(2)) {
                job const each(static_cast<int>(random.below(4)), number++);
                CHECK(jobs.try_send(each).has_value());
                expected.push_back(each);
            } else if (!expected.empty()) {
                std::size_t best = 0;
                for (std::size_t i = 1; i < expected.size(); ++i) {
                    if (expected[best] < expected[i]) {
                        best = i;
                    }
                }
                CHECK(jobs.try_recv()->number == expected[best].number);
                expected.erase(expected.begin() + static_cast<std::ptrdiff_t>(best));
            }
        }
    }

    TEST_CASE("senders wait for room, and their values take their place when they enter") {
        weft::thread_pool pool({.workers = 1});
        priority_channel<int> numbers(2);
        std::vector<int> seen;
        auto send = [&](int value) -> task<> { co_await numbers.send(value); };
        auto work = [&]() -> task<> {
            auto body = [&](nursery& n) -> task<> {
                for (int const value : {1, 5, 9, 7}) {
                    n.spawn(send(value));
                    for (int i = 0; i < 8; ++i) {
                        co_await weft::yield();
                    }
                }
                for (int i = 0; i < 4; ++i) {
                    seen.push_back(numbers.try_recv().value());
                }
            };
            co_await weft::scope(body);
        };
        pool.block_on(work());
        CHECK(seen == std::vector<int>{5, 9, 7, 1});
    }

    TEST_CASE("halves of a priority channel close like those of any other") {
        auto [tx, rx] = weft::make_priority_channel<int>(4);
        CHECK(tx.try_send(1).has_value());
        CHECK(tx.try_send(2).has_value());
        tx = weft::priority_sender<int>();
        CHECK(rx.try_recv().value() == 2);
        CHECK(rx.try_recv().value() == 1);
        CHECK(rx.try_recv().error() == weft::errc::closed);
    }
}
