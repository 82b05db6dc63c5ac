#include <weft/runtime/core/remote_queue.hpp>
#include <weft/tests/model/stepper.hpp>

#include <doctest/doctest.h>

namespace model = weft::model;

namespace {

struct node {
    node* next = nullptr;
    model::plain<int> pushed{0};
    model::plain<int> taken{0};
};

using queue_type = weft::detail::remote_queue<&node::next>;

void push(queue_type& queue, node& next) {
    next.pushed.write(1);
    queue.push(next);
}

/// Takes what is there; nodes of one array come in the order of their pushes.
void take_all(queue_type& queue) {
    auto nodes = queue.take_all();
    while (node* const each = nodes.pop_front()) {
        model::expect(each->pushed.read() == 1, "a node is taken before it is pushed");
        model::expect(each->taken.read() == 0, "a node is taken twice");
        each->taken.write(1);
    }
}

void two_producers() {
    node nodes[3];
    queue_type queue;
    auto pushes_two = [&] {
        push(queue, nodes[0]);
        push(queue, nodes[1]);
    };
    auto pushes_one = [&] { push(queue, nodes[2]); };
    model::thread one(pushes_two);
    model::thread other(pushes_one);
    take_all(queue);
    if (!queue.looks_empty()) {
        take_all(queue);
    }
    one.join();
    other.join();
    take_all(queue);
    for (node const& each : nodes) {
        model::expect(each.taken.read() == 1, "a node is lost");
    }
}

/// A node that the consumer has handled is pushed again at once.
void reuse() {
    node nodes[2];
    queue_type queue;
    auto pushes = [&] {
        push(queue, nodes[0]);
        push(queue, nodes[1]);
    };
    model::thread producer(pushes);
    auto taken = queue.take_all();
    int count = 0;
    while (node* const each = taken.pop_front()) {
        each->pushed.write(2);
        queue.push(*each);
        ++count;
    }
    producer.join();
    auto rest = queue.take_all();
    int left = 0;
    while (node* const each = rest.pop_front()) {
        left += each->pushed.read() != 0 ? 1 : 0;
    }
    model::expect(left == 2 && count <= 2, "a node is lost");
}

void order() {
    node nodes[2];
    queue_type queue;
    auto pushes = [&] {
        push(queue, nodes[0]);
        push(queue, nodes[1]);
    };
    model::thread producer(pushes);
    node* last = nullptr;
    for (int i = 0; i < 2; ++i) {
        auto taken = queue.take_all();
        while (node* const each = taken.pop_front()) {
            model::expect(last == nullptr || last < each, "order is lost");
            last = each;
        }
    }
    producer.join();
}

}  // namespace

TEST_SUITE("model/remote_queue") {
    TEST_CASE("every node pushed is taken exactly once, with what was written before its push") {
        CHECK(model::explore("two_producers", &two_producers));
        CHECK(model::explore("reuse", &reuse));
    }

    TEST_CASE("nodes of one producer are taken in the order of their pushes") {
        CHECK(model::explore("order", &order));
    }
}
