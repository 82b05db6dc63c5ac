#include <weft/runtime/core/ready_queue.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <cstddef>
#include <thread>
#include <vector>

namespace {

using weft::detail::ready_queue;

}  // namespace

TEST_SUITE("runtime/core/ready_queue") {
    TEST_CASE("items come out in the order in which they went in") {
        ready_queue<int, 4> queue;
        int items[4] = {};
        for (int round = 0; round < 10; ++round) {
            for (int& each : items) {
                CHECK(queue.try_push(&each));
            }
            for (int& each : items) {
                CHECK(queue.try_pop() == &each);
            }
            CHECK(queue.try_pop() == nullptr);
        }
    }

    TEST_CASE("a full ring refuses an item and keeps the others") {
        ready_queue<int, 2> queue;
        int items[3] = {};
        CHECK(queue.try_push(&items[0]));
        CHECK(queue.try_push(&items[1]));
        CHECK(!queue.try_push(&items[2]));
        CHECK(queue.size_hint() == 2);
        CHECK(queue.try_pop() == &items[0]);
        CHECK(queue.try_push(&items[2]));
        CHECK(queue.try_pop() == &items[1]);
        CHECK(queue.try_pop() == &items[2]);
    }

    TEST_CASE("a thief takes half, rounded up, from the front and respects its limit") {
        ready_queue<int, 8> queue;
        int items[8] = {};
        int* taken[8] = {};
        CHECK(queue.take_half(taken, 8) == 0);
        for (int i = 0; i < 5; ++i) {
            CHECK(queue.try_push(&items[i]));
        }
        CHECK(queue.take_half(taken, 8) == 3);
        CHECK(taken[0] == &items[0]);
        CHECK(taken[2] == &items[2]);
        CHECK(queue.take_half(taken, 8) == 1);
        CHECK(queue.take_half(taken, 0) == 0);
        CHECK(queue.try_pop() == &items[4]);
    }

    TEST_CASE("the owner and three thieves take every item exactly once") {
        constexpr int count = 200'000;
        ready_queue<int, 8> queue;
        std::vector<int> items(count);
        std::vector<std::atomic<int>> taken(count);
        auto const take = [&](int const* item) {
            ++taken[static_cast<std::size_t>(item - items.data())];
        };
        std::atomic<bool> done = false;
        std::vector<std::thread> thieves;
        for (int i = 0; i < 3; ++i) {
            thieves.emplace_back([&] {
                int* batch[4];
                for (;;) {
                    bool const last = done;
                    std::size_t const got = queue.take_half(batch, 4);
                    for (std::size_t k = 0; k < got; ++k) {
                        take(batch[k]);
                    }
                    if (got == 0 && last) {
                        return;
                    }
                }
            });
        }
        for (int next = 0; next < count;) {
            if (queue.try_push(&items[static_cast<std::size_t>(next)])) {
                ++next;
            } else if (int const* const item = queue.try_pop(); item != nullptr) {
                take(item);
            }
        }
        done = true;
        for (std::thread& each : thieves) {
            each.join();
        }
        while (int const* const item = queue.try_pop()) {
            take(item);
        }
        int wrong = 0;
        for (std::atomic<int> const& each : taken) {
            wrong += each != 1;
        }
        CHECK(wrong == 0);
    }
}
