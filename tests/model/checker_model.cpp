/// The checker itself: it finds what the C++ model allows, and nothing else.

#include <weft/runtime/base/atomic.hpp>
#include <weft/runtime/base/mutex.hpp>
#include <weft/tests/model/stepper.hpp>

#include <doctest/doctest.h>

namespace model = weft::model;
using namespace weft::detail;

namespace {

template <model::order Store, model::order Load>
void message() {
    model::plain<int> data{0};
    atomic<int> flag{0};
    auto sends = [&] {
        data.write(1);
        flag.store(1, Store);
    };
    model::thread sender(sends);
    if (flag.load(Load) == 1) {
        model::expect(data.read() == 1, "the data is stale");
    }
}

/// Each side stores and then looks at the other: one of them must see.
template <bool HasFirst, bool HasSecond>
void dekker() {
    atomic<int> mine{0};
    atomic<int> theirs{0};
    int seen = -1;
    auto other_side = [&] {
        theirs.store(1, relaxed);
        if (HasSecond) {
            fence_heavy();
        }
        seen = mine.load(relaxed);
    };
    model::thread other(other_side);
    mine.store(1, relaxed);
    if (HasFirst) {
        fence_light();
    }
    int const found = theirs.load(relaxed);
    other.join();
    model::expect(found == 1 || seen == 1, "neither side saw the other");
}

template <bool IsOneStep>
void count_to_two() {
    atomic<int> count{0};
    auto counts = [&] {
        if (IsOneStep) {
            count.fetch_add(1, relaxed);
        } else {
            count.store(count.load(relaxed) + 1, relaxed);
        }
    };
    model::thread other(counts);
    counts();
    other.join();
    model::expect(count.load(relaxed) == 2, "a count is lost");
}

void locks_in_both_orders() {
    mutex a;
    mutex b;
    auto locks = [&] {
        scoped_lock const first(b);
        scoped_lock const second(a);
    };
    model::thread other(locks);
    scoped_lock const first(a);
    scoped_lock const second(b);
}

void spin() {
    atomic<bool> done{false};
    auto ends = [&] { done.store(true, relaxed); };
    model::thread other(ends);
    while (!done.load(relaxed)) {
        cpu_relax();
    }
}

void spin_in_vain() {
    atomic<bool> const done{false};
    while (!done.load(relaxed)) {
        cpu_relax();
    }
}

}  // namespace

TEST_SUITE("model/checker") {
    TEST_CASE("data is passed by release and acquire, and by nothing less") {
        CHECK(model::explore("message", &message<release, acquire>));
        CHECK_FALSE(model::explore("message_relaxed_store", &message<relaxed, acquire>));
        CHECK_FALSE(model::explore("message_relaxed_load", &message<release, relaxed>));
    }

    TEST_CASE("both sides of a Dekker pair need their fence, of either kind") {
        model::options const portable{.preemptions = 2, .membarrier = false};
        CHECK(model::explore("dekker", &dekker<true, true>));
        CHECK(model::explore("dekker_portable", &dekker<true, true>, portable));
        CHECK_FALSE(model::explore("dekker_portable_heavy", &dekker<false, true>, portable));
        CHECK_FALSE(model::explore("dekker_light", &dekker<true, false>));
        CHECK_FALSE(model::explore("dekker_none", &dekker<false, false>, portable));
    }

    TEST_CASE("a count in two steps is lost, one in a single step is not") {
        CHECK(model::explore("one_step", &count_to_two<true>));
        CHECK_FALSE(model::explore("two_steps", &count_to_two<false>));
    }

    TEST_CASE("threads that wait for each other, or for nothing, are found") {
        CHECK_FALSE(model::explore("locks_in_both_orders", &locks_in_both_orders));
        CHECK_FALSE(model::explore("spin_in_vain", &spin_in_vain));
        CHECK(model::explore("spin", &spin));
    }
}
