/// The checker itself: it finds what the C++ model allows, and nothing else.

#include <weft/runtime/base/atomic.hpp>
#include <weft/runtime/base/mutex.hpp>
#include <weft/tests/model/stepper.hpp>

#include <doctest/doctest.h>

#include <cstdlib>
#include <string>

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

/// Fails where the other thread counts once between the first two loads, and once before the last.
void needs_three_preemptions() {
    atomic<int> count{0};
    auto counts = [&] {
        count.fetch_add(1, relaxed);
        count.fetch_add(1, relaxed);
    };
    model::thread other(counts);
    int const first = count.load(relaxed);
    int const second = count.load(relaxed);
    int const third = count.load(relaxed);
    model::expect(first != 0 || second != 1 || third != 2, "the planted fault");
}

/// What the last exploration found is found again in its replay, and nothing else is run.
bool repeats(char const* name, void (*body)(), model::options const& bounds) {
    std::string const failure = model::last_failure();
    ::setenv("WEFT_MODEL_REPLAY", model::last_replay().c_str(), 1);
    bool const good = model::explore(name, body, bounds);
    ::unsetenv("WEFT_MODEL_REPLAY");
    return !good && model::last_failure() == failure;
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

    TEST_CASE("a failure that is found, by search or at random, is found again in its replay") {
        model::options const bounds{.preemptions = 3, .stale_reads = 0};
        CHECK_FALSE(model::explore("searched", &needs_three_preemptions, bounds));
        CHECK(model::last_failure().find("the planted fault") != std::string::npos);
        CHECK(repeats("searched", &needs_three_preemptions, bounds));

        model::options const none{.preemptions = 0, .stale_reads = 0};
        CHECK_FALSE(model::explore("drawn", &needs_three_preemptions, none));
        CHECK(model::last_replay().find_first_of("0123456789") != std::string::npos);
        CHECK(repeats("drawn", &needs_three_preemptions, none));
    }

    TEST_CASE("a fault that takes three preemptions is not found with two, but at random") {
        model::options const bounds{.preemptions = 2, .stale_reads = 0};
        ::setenv("WEFT_MODEL_RANDOM", "0", 1);
        CHECK(model::explore("two_preemptions", &needs_three_preemptions, bounds));
        ::unsetenv("WEFT_MODEL_RANDOM");
        CHECK_FALSE(model::explore("at_random", &needs_three_preemptions, bounds));
    }
}
