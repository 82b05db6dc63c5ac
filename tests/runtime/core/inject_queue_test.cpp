#include <weft/runtime/core/inject_queue.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <cstddef>
#include <thread>
#include <vector>

namespace {

struct node {
    node* next = nullptr;
    std::size_t producer = 0;
    std::size_t number = 0;
    int taken = 0;
};

using inject_queue = weft::detail::inject_queue<&node::next>;

constexpr std::size_t producer_count = 3;
constexpr std::size_t each_pushes = 20'000;

void produce(inject_queue& queue, std::size_t producer, std::vector<node>& own) {
    for (std::size_t number = 0; number < own.size(); ++number) {
        own[number].producer = producer;
        own[number].number = number;
        queue.push(own[number]);
    }
}

/// Takes until all nodes are gone; gives the number of nodes that overtook an older one of the same
/// producer, plus that of batches above the limit.
std::size_t consume(inject_queue& queue, std::size_t limit, std::atomic<std::size_t>& left) {
    std::size_t overtaken = 0;
    std::size_t oversized = 0;
    std::size_t next_number[producer_count] = {};
    while (left != 0) {
        auto batch = queue.pop_batch(limit);
        if (batch.empty()) {
            std::this_thread::yield();
        }
        std::size_t count = 0;
        while (node* const each = batch.pop_front()) {
            overtaken += each->number < next_number[each->producer] ? 1U : 0U;
            next_number[each->producer] = each->number + 1;
            ++each->taken;
            ++count;
        }
        oversized += count > limit ? 1U : 0U;
        left -= count;
    }
    return overtaken + oversized;
}

}  // namespace

TEST_SUITE("runtime/core/inject_queue") {
    TEST_CASE("an empty queue looks empty and gives an empty batch") {
        inject_queue queue;
        CHECK(queue.looks_empty());
        CHECK(queue.size_hint() == 0);
        CHECK(queue.pop_batch(8).empty());
    }

    TEST_CASE("a batch holds the oldest nodes, at most as many as the limit") {
        inject_queue queue;
        node nodes[5];
        for (node& each : nodes) {
            queue.push(each);
        }
        CHECK(queue.pop_batch(0).empty());
        CHECK(queue.size_hint() == 5);
        auto first = queue.pop_batch(2);
        CHECK(queue.size_hint() == 3);
        auto second = queue.pop_batch(100);
        CHECK(queue.looks_empty());
        CHECK(first.pop_front() == &nodes[0]);
        CHECK(first.pop_front() == &nodes[1]);
        CHECK(first.empty());
        CHECK(second.pop_front() == &nodes[2]);
        CHECK(second.pop_front() == &nodes[3]);
        CHECK(second.pop_front() == &nodes[4]);
        CHECK(second.empty());
    }

    TEST_CASE("each node is taken once, and none overtakes an older one of its producer") {
        inject_queue queue;
        std::vector<std::vector<node>> nodes(producer_count);
        for (std::vector<node>& each : nodes) {
            each = std::vector<node>(each_pushes);
        }
        std::atomic<std::size_t> left = producer_count * each_pushes;
        std::atomic<std::size_t> wrong_order_or_size = 0;
        std::vector<std::thread> threads;
        for (std::size_t const limit : {std::size_t{1}, std::size_t{4}, std::size_t{64}}) {
            threads.emplace_back([&queue, &left, &wrong_order_or_size, limit] {
                wrong_order_or_size += consume(queue, limit, left);
            });
        }
        for (std::size_t producer = 0; producer < producer_count; ++producer) {
            threads.emplace_back(
                [&queue, producer, &own = nodes[producer]] { produce(queue, producer, own); });
        }
        for (std::thread& each : threads) {
            each.join();
        }
        CHECK(wrong_order_or_size == 0);
        CHECK(queue.looks_empty());
        int wrong = 0;
        for (std::vector<node> const& own : nodes) {
            for (node const& each : own) {
                wrong += each.taken != 1;
            }
        }
        CHECK(wrong == 0);
    }
}
