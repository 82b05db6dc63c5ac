#include <weft/runtime/core/work_deque.hpp>
#include <weft/tests/model/stepper.hpp>

#include <doctest/doctest.h>

namespace model = weft::model;
using weft::detail::claim_status;
using weft::detail::steal_status;

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

using deque = weft::detail::work_deque<item>;

void push(deque& queue, item& next) {
    next.pushed.write(1);
    queue.push(&next);
}

bool take(item* next) {
    if (next != nullptr) {
        next->take();
    }
    return next != nullptr;
}

bool pop(deque& queue) {
    return take(queue.pop());
}

bool take_oldest(deque& queue) {
    return take(queue.take_oldest());
}

bool claim(deque& queue, item& expected) {
    claim_status const status = queue.claim(&expected);
    bool const claimed = status == claim_status::claimed ||
                         (status == claim_status::undecided && queue.resolve_claim());
    return take(claimed ? &expected : nullptr);
}

bool steal(deque& queue) {
    auto const stolen = queue.steal();
    model::expect((stolen.status == steal_status::ok) == (stolen.item != nullptr),
                  "a steal gives an item exactly when it says so");
    return take(stolen.item);
}

/// Steals so many times, on a thread of its own.
class thief {
public:
    explicit thief(deque& victim, int attempts = 1)
        : victim_(&victim)
        , attempts_(attempts)
        , thread_(*this) {}

    void operator()() {
        for (int i = 0; i < attempts_; ++i) {
            (void)steal(*victim_);
        }
    }

    void join() { thread_.join(); }

private:
    deque* victim_;
    int attempts_;
    model::thread thread_;
};

template <std::size_t Count>
void expect_all_taken(deque& queue, item (&items)[Count]) {
    while (pop(queue)) {
    }
    for (item& each : items) {
        model::expect(each.taken.read() == 1, "an item is lost");
    }
}

void last_item() {
    item items[2];
    deque queue(2);
    push(queue, items[0]);
    thief one(queue);
    push(queue, items[1]);
    (void)pop(queue);
    (void)pop(queue);
    one.join();
    expect_all_taken(queue, items);
}

void two_thieves() {
    item items[2];
    deque queue(2);
    thief one(queue);
    push(queue, items[0]);
    thief other(queue);
    push(queue, items[1]);
    (void)pop(queue);
    one.join();
    other.join();
    expect_all_taken(queue, items);
}

/// Empty and filled again: what is stale must not pass for new.
void refill() {
    item items[3];
    deque queue(2);
    thief one(queue, 2);
    push(queue, items[0]);
    (void)pop(queue);
    push(queue, items[1]);
    push(queue, items[2]);
    (void)pop(queue);
    one.join();
    expect_all_taken(queue, items);
}

/// The owner takes from the thieves' end too, and fills the deque again behind that.
void oldest() {
    item items[3];
    deque queue(2);
    push(queue, items[0]);
    thief one(queue, 2);
    push(queue, items[1]);
    (void)pop(queue);
    (void)take_oldest(queue);
    push(queue, items[2]);
    one.join();
    expect_all_taken(queue, items);
}

/// The owner takes of two items what it likes, and so do two thieves.
template <class Takes>
void against_two_thieves(Takes takes) {
    item items[2];
    deque queue(2);
    push(queue, items[0]);
    thief one(queue);
    push(queue, items[1]);
    thief other(queue);
    takes(queue, items[1]);
    one.join();
    other.join();
    expect_all_taken(queue, items);
}

void oldest_and_two_thieves() {
    against_two_thieves([](deque& queue, item&) {
        (void)take_oldest(queue);
        (void)pop(queue);
    });
}

/// Three items in a ring of two: the owner grows it, or reuses a slot that a thief has emptied.
void growth() {
    item items[3];
    deque queue(2);
    push(queue, items[0]);
    thief one(queue, 2);
    push(queue, items[1]);
    push(queue, items[2]);
    (void)pop(queue);
    one.join();
    expect_all_taken(queue, items);
}

void growth_and_two_thieves() {
    item items[3];
    deque queue(2);
    push(queue, items[0]);
    push(queue, items[1]);
    thief one(queue);
    thief other(queue);
    push(queue, items[2]);
    (void)pop(queue);
    one.join();
    other.join();
    expect_all_taken(queue, items);
}

/// A join's chain: two forks, claimed youngest first, until one is not there.
void claims() {
    item items[2];
    deque queue(2);
    thief one(queue);
    push(queue, items[0]);
    push(queue, items[1]);
    (void)(claim(queue, items[1]) && claim(queue, items[0]));
    one.join();
    expect_all_taken(queue, items);
}

/// A thief may take the older fork before the younger one is claimed.
void claims_against_two_thieves() {
    against_two_thieves([](deque& queue, item& youngest) { (void)claim(queue, youngest); });
}

/// With the fences that cost nothing on the owner's side, and with portable ones.
bool explore(char const* name, char const* portable_name, void (*body)()) {
    return model::explore(name, body) && model::explore(portable_name, body, {.membarrier = false});
}

}  // namespace

TEST_SUITE("model/work_deque") {
    TEST_CASE("owner and thieves take every item exactly once, the last one included") {
        CHECK(explore("last_item", "last_item_portable", &last_item));
        CHECK(explore("two_thieves", "two_thieves_portable", &two_thieves));
        CHECK(explore("refill", "refill_portable", &refill));
        CHECK(explore("oldest", "oldest_portable", &oldest));
        CHECK(explore("oldest_thieves", "oldest_thieves_portable", &oldest_and_two_thieves));
    }

    TEST_CASE("no item is lost or taken twice while the ring grows or wraps") {
        CHECK(explore("growth", "growth_portable", &growth));
        CHECK(explore("growth_thieves", "growth_thieves_portable", &growth_and_two_thieves));
    }

    TEST_CASE("a claimed item is not stolen and a stolen one is not claimed") {
        CHECK(explore("claims", "claims_portable", &claims));
        CHECK(explore("claims_thieves", "claims_thieves_portable", &claims_against_two_thieves));
    }
}
