#include <weft/runtime/core/remote_queue.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <thread>
#include <vector>

namespace {

struct node {
    node* next = nullptr;
    std::size_t producer = 0;
    std::size_t number = 0;
};

using remote_queue = weft::detail::remote_queue<&node::next>;

}  // namespace

TEST_SUITE("runtime/core/remote_queue") {
    TEST_CASE("an empty queue looks empty and gives nothing") {
        remote_queue queue;
        CHECK(queue.looks_empty());
        CHECK(queue.take_all().empty());
    }

    TEST_CASE("take_all gives the nodes in the order of their pushes and leaves none") {
        remote_queue queue;
        node nodes[3];
        for (int round = 0; round < 3; ++round) {
            for (node& each : nodes) {
                queue.push(each);
            }
            CHECK(!queue.looks_empty());
            auto taken = queue.take_all();
            CHECK(queue.looks_empty());
            CHECK(queue.take_all().empty());
            for (node& each : nodes) {
                CHECK(taken.pop_front() == &each);
            }
            CHECK(taken.empty());
        }
    }

    TEST_CASE("a node that was taken can be pushed again while its neighbours are still held") {
        remote_queue queue;
        node first;
        node second;
        queue.push(first);
        queue.push(second);
        auto held = queue.take_all();
        CHECK(held.pop_front() == &first);
        queue.push(first);
        CHECK(held.pop_front() == &second);
        CHECK(held.empty());
        auto again = queue.take_all();
        CHECK(again.pop_front() == &first);
        CHECK(again.empty());
    }

    TEST_CASE("each node of four producers arrives once, and each producer's nodes in order") {
        constexpr std::size_t producer_count = 4;
        constexpr std::size_t each_pushes = 30'000;
        remote_queue queue;
        std::vector<std::vector<node>> nodes(producer_count);
        std::vector<std::thread> producers;
        for (std::size_t producer = 0; producer < producer_count; ++producer) {
            nodes[producer] = std::vector<node>(each_pushes);
            producers.emplace_back([&queue, &own = nodes[producer], producer] {
                for (std::size_t number = 0; number < own.size(); ++number) {
                    own[number].producer = producer;
                    own[number].number = number;
                    queue.push(own[number]);
                }
            });
        }
        std::size_t arrived[producer_count] = {};
        std::size_t out_of_order = 0;
        for (std::size_t total = 0; total < producer_count * each_pushes;) {
            auto batch = queue.take_all();
            if (batch.empty()) {
                std::this_thread::yield();
            }
            while (node const* const each = batch.pop_front()) {
                out_of_order += each->number != arrived[each->producer] ? 1U : 0U;
                ++arrived[each->producer];
                ++total;
            }
        }
        for (std::thread& each : producers) {
            each.join();
        }
        CHECK(out_of_order == 0);
        CHECK(queue.looks_empty());
        for (std::size_t const count : arrived) {
            CHECK(count == each_pushes);
        }
    }
}
