#include <weft/runtime/base/intrusive_queue.hpp>

#include <weft/tests/support/death.hpp>
#include <weft/tests/support/seed.hpp>

#include <doctest/doctest.h>

#include <csignal>
#include <deque>
#include <string>
#include <utility>
#include <vector>

namespace {

struct node {
    node* next = nullptr;
    node* other_next = nullptr;
};

using queue = weft::detail::intrusive_queue<&node::next>;
using other_queue = weft::detail::intrusive_queue<&node::other_next>;

/// Empties the queue; the nodes from front to back.
std::vector<node*> drain(queue& nodes) {
    std::vector<node*> found;
    while (node* const each = nodes.pop_front()) {
        found.push_back(each);
    }
    return found;
}

}  // namespace

TEST_SUITE("runtime/base/intrusive_queue") {
    TEST_CASE("an empty queue has no front and pops nothing") {
        queue nodes;
        CHECK(nodes.empty());
        CHECK(nodes.front() == nullptr);
        CHECK(nodes.pop_front() == nullptr);
    }

    TEST_CASE("nodes leave in the order in which they came") {
        queue nodes;
        node a;
        node b;
        nodes.push_back(a);
        nodes.push_back(b);
        CHECK(nodes.front() == &a);
        CHECK(nodes.pop_front() == &a);
        nodes.push_back(a);
        CHECK(drain(nodes) == std::vector{&b, &a});
    }

    TEST_CASE("a node pushed to the front of an empty queue is also its last") {
        queue nodes;
        node a;
        node b;
        node c;
        nodes.push_front(b);
        nodes.push_back(c);
        nodes.push_front(a);
        CHECK(drain(nodes) == std::vector{&a, &b, &c});
    }

    TEST_CASE("a move takes all nodes and leaves a usable queue") {
        queue source;
        node a;
        node b;
        source.push_back(a);
        queue moved = std::move(source);
        CHECK(source.empty());
        source.push_back(b);
        CHECK(drain(moved) == std::vector{&a});
        moved = std::move(source);
        CHECK(source.empty());
        CHECK(drain(moved) == std::vector{&b});
    }

    TEST_CASE("append moves all nodes behind the others, and empty queues change nothing") {
        queue target;
        queue source;
        node a;
        node b;
        node c;
        target.append(std::move(source));
        CHECK(target.empty());
        source.push_back(a);
        source.push_back(b);
        target.append(std::move(source));
        CHECK(source.empty());
        target.append(std::move(source));
        source.push_back(c);
        target.append(std::move(source));
        CHECK(drain(target) == std::vector{&a, &b, &c});
    }

    TEST_CASE("a node with two links stands in two queues at once") {
        queue first;
        other_queue second;
        node a;
        node b;
        first.push_back(a);
        first.push_back(b);
        second.push_back(b);
        second.push_back(a);
        CHECK(drain(first) == std::vector{&a, &b});
        CHECK(second.pop_front() == &b);
        CHECK(second.pop_front() == &a);
        CHECK(second.empty());
    }

    TEST_CASE("the queue agrees with a deque over random operations") {
        auto const seed = weft::test::fresh_seed();
        CAPTURE(seed);
        weft::test::random_numbers random(seed);
        std::vector<node> all(8);
        std::vector<node*> idle;
        for (node& each : all) {
            idle.push_back(&each);
        }
        queue nodes;
        std::deque<node*> model;
        for (int step = 0; step < 10'000; ++step) {
            if (idle.empty() || random.one_in(2)) {
                node* const expected = model.empty() ? nullptr : model.front();
                CHECK(nodes.pop_front() == expected);
                if (expected != nullptr) {
                    model.pop_front();
                    idle.push_back(expected);
                }
                continue;
            }
            node& chosen = *idle.back();
            idle.pop_back();
            if (random.one_in(4)) {
                nodes.push_front(chosen);
                model.push_front(&chosen);
            } else {
                nodes.push_back(chosen);
                model.push_back(&chosen);
            }
        }
        drain(nodes);
    }

#if WEFT_ASSERTS
    TEST_CASE("a queue that would lose its nodes aborts") {
        auto const destroyed = weft::test::death_of([] {
            node lost;
            queue nodes;
            nodes.push_back(lost);
        });
        CHECK(destroyed.signal == SIGABRT);
        CHECK(destroyed.text.find("a queue with nodes is destroyed") != std::string::npos);
        auto const overwritten = weft::test::death_of([] {
            node lost;
            queue nodes;
            nodes.push_back(lost);
            nodes = queue();
        });
        CHECK(overwritten.signal == SIGABRT);
        CHECK(overwritten.text.find("a queue with nodes is overwritten") != std::string::npos);
    }
#endif
}
