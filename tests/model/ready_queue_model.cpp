#include <weft/runtime/core/ready_queue.hpp>
#include <weft/tests/model/stepper.hpp>

#include <doctest/doctest.h>

namespace model = weft::model;

namespace {

/// Written by the owner before it is pushed, and by whoever takes it.
struct item {
    model::plain<int> pushed{0};
    model::plain<int> taken{0};

    void take() {
        model::expect(pushed.read() == 1, "an item is taken before it is pushed");
        model::expect(taken.read() == 0, "an item is taken twice");
        taken.write(1);
    }
};

using queue_of_two = weft::detail::ready_queue<item, 2>;

bool push(queue_of_two& queue, item& next) {
    next.pushed.write(1);
    return queue.try_push(&next);
}

bool pop(queue_of_two& queue) {
    item* const popped = queue.try_pop();
    if (popped != nullptr) {
        popped->take();
    }
    return popped != nullptr;
}

template <std::size_t Count>
void expect_all_taken(queue_of_two& queue, item (&items)[Count], bool last_was_pushed) {
    while (pop(queue)) {
    }
    for (item& each : items) {
        bool const pushed = last_was_pushed || &each != &items[Count - 1];
        model::expect(each.taken.read() == (pushed ? 1 : 0), "an item is lost");
    }
}

void owner_and_thief() {
    item items[2];
    queue_of_two queue;
    auto steals = [&] { (void)pop(queue); };
    model::thread thief(steals);
    (void)push(queue, items[0]);
    (void)push(queue, items[1]);
    (void)pop(queue);
    thief.join();
    expect_all_taken(queue, items, true);
}

/// The third push finds room only if somebody has taken one.
void wrapped() {
    item items[3];
    queue_of_two queue;
    (void)push(queue, items[0]);
    auto steals = [&] {
        (void)pop(queue);
        (void)pop(queue);
    };
    model::thread thief(steals);
    (void)push(queue, items[1]);
    bool const pushed = push(queue, items[2]);
    (void)pop(queue);
    thief.join();
    expect_all_taken(queue, items, pushed);
}

void batches() {
    item items[3];
    queue_of_two queue;
    auto steals = [&] {
        item* taken[2];
        std::size_t const count = queue.take_half(taken, 2);
        for (std::size_t i = 0; i < count; ++i) {
            taken[i]->take();
        }
    };
    (void)push(queue, items[0]);
    model::thread one(steals);
    model::thread other(steals);
    (void)push(queue, items[1]);
    bool const pushed = push(queue, items[2]);
    one.join();
    other.join();
    expect_all_taken(queue, items, pushed);
}

/// Items leave in the order in which they were pushed, for whoever takes both.
void order() {
    item items[2];
    queue_of_two queue;
    auto steals = [&] {
        item* const first = queue.try_pop();
        item* const second = queue.try_pop();
        model::expect(first == nullptr || second == nullptr || first < second, "order is lost");
        model::expect(first != nullptr || second == nullptr || second == &items[0],
                      "order is lost");
    };
    model::thread thief(steals);
    (void)push(queue, items[0]);
    (void)push(queue, items[1]);
    thief.join();
}

}  // namespace

TEST_SUITE("model/ready_queue") {
    TEST_CASE("owner and thieves take every item exactly once") {
        CHECK(model::explore("owner_and_thief", &owner_and_thief));
        CHECK(model::explore("batches", &batches));
    }

    TEST_CASE("a slot is used again only when its item has been taken") {
        CHECK(model::explore("wrapped", &wrapped));
    }

    TEST_CASE("items are taken in the order in which they were pushed") {
        CHECK(model::explore("order", &order));
    }
}
