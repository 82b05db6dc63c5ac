#include <weft/runtime/core/work_deque.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <cstddef>
#include <thread>
#include <vector>

namespace {

using weft::detail::claim_status;
using weft::detail::steal_status;
using weft::detail::work_deque;

/// True when the owner's claim succeeds.
bool takes(work_deque<int>& deque, int& item) {
    claim_status const claim = deque.claim(&item);
    return claim == claim_status::claimed ||
           (claim == claim_status::undecided && deque.resolve_claim());
}

struct enable_fences {
    enable_fences() { weft::detail::init_asymmetric_fence(); }
} const enabled;

/// Owner pushes `count` items in bursts and pops what it can; thieves take the rest. Every item
/// exactly once.
void conserve(std::size_t capacity, unsigned thief_count, int count, int burst) {
    work_deque<int> deque(capacity);
    std::vector<int> items(static_cast<std::size_t>(count));
    std::vector<std::atomic<int>> taken(static_cast<std::size_t>(count));
    auto const take = [&](int const* item) {
        ++taken[static_cast<std::size_t>(item - items.data())];
    };
    std::atomic<bool> done = false;
    std::vector<std::thread> thieves;
    for (unsigned i = 0; i < thief_count; ++i) {
        thieves.emplace_back([&] {
            for (;;) {
                bool const last = done;
                auto const stolen = deque.steal();
                if (stolen.status == steal_status::ok) {
                    take(stolen.item);
                } else if (stolen.status == steal_status::empty && last) {
                    return;
                }
            }
        });
    }
    for (int next = 0; next < count;) {
        for (int i = 0; i < burst && next < count; ++i) {
            deque.push(&items[static_cast<std::size_t>(next++)]);
        }
        for (int i = 0; i < burst / 2 + 1; ++i) {
            if (int const* const item = deque.pop(); item != nullptr) {
                take(item);
            }
        }
        if (int const* const item = deque.take_oldest(); item != nullptr) {
            take(item);
        }
    }
    while (int const* const item = deque.pop()) {
        take(item);
    }
    done = true;
    for (std::thread& each : thieves) {
        each.join();
    }
    int wrong = 0;
    for (std::atomic<int> const& each : taken) {
        wrong += each != 1;
    }
    CHECK(wrong == 0);
}

}  // namespace

TEST_SUITE("runtime/core/work_deque") {
    TEST_CASE("an empty deque gives nothing to its owner and 'empty' to a thief") {
        work_deque<int> deque;
        CHECK(deque.pop() == nullptr);
        CHECK(deque.steal().status == steal_status::empty);
        CHECK(deque.looks_empty());
        CHECK(deque.pop() == nullptr);
    }

    TEST_CASE("the owner gets the newest item and a thief the oldest") {
        work_deque<int> deque(2);
        int items[4] = {};
        for (int& each : items) {
            deque.push(&each);
        }
        CHECK(deque.pop() == &items[3]);
        auto const stolen = deque.steal();
        CHECK(stolen.status == steal_status::ok);
        CHECK(stolen.item == &items[0]);
        CHECK(deque.pop() == &items[2]);
        CHECK(deque.pop() == &items[1]);
        CHECK(deque.pop() == nullptr);
    }

    TEST_CASE("the owner can take the oldest item, as a thief would") {
        work_deque<int> deque(2);
        CHECK(deque.take_oldest() == nullptr);
        int items[4] = {};
        for (int& each : items) {
            deque.push(&each);
        }
        CHECK(deque.take_oldest() == &items[0]);
        CHECK(deque.steal().item == &items[1]);
        CHECK(deque.pop() == &items[3]);
        CHECK(deque.take_oldest() == &items[2]);
        CHECK(deque.take_oldest() == nullptr);
        CHECK(deque.pop() == nullptr);
    }

    TEST_CASE("a claim takes the newest item only if it is the expected one") {
        work_deque<int> deque(2);
        int items[2] = {};
        CHECK(!takes(deque, items[0]));
        deque.push(&items[0]);
        deque.push(&items[1]);
        CHECK(!takes(deque, items[0]));
        CHECK(takes(deque, items[1]));
        CHECK(takes(deque, items[0]));
        CHECK(!takes(deque, items[0]));
        CHECK(deque.looks_empty());
    }

    TEST_CASE("a claim of the last item is undecided until it is settled") {
        work_deque<int> deque(2);
        int item = 0;
        deque.push(&item);
        CHECK(deque.claim(&item) == claim_status::undecided);
        CHECK(deque.steal().status != steal_status::ok);
        CHECK(deque.resolve_claim());
        CHECK(deque.pop() == nullptr);
    }

    TEST_CASE("a claim does not take an item that a thief has taken") {
        work_deque<int> deque(2);
        int item = 0;
        deque.push(&item);
        CHECK(deque.steal().item == &item);
        CHECK(!takes(deque, item));
        CHECK(deque.pop() == nullptr);
    }

    TEST_CASE("a full deque takes on without growing what thieves have made room for") {
        work_deque<int> deque(4);
        std::vector<int> items(1'000);
        std::size_t oldest = 0;
        for (std::size_t i = 0; i < items.size(); ++i) {
            deque.push(&items[i]);
            if (i >= 3) {
                CHECK(deque.steal().item == &items[oldest++]);
            }
        }
        while (oldest < items.size()) {
            CHECK(deque.steal().item == &items[oldest++]);
        }
    }

    TEST_CASE("a deque grows and wraps without losing the order") {
        work_deque<std::size_t> deque(2);
        std::vector<std::size_t> items(1000);
        std::size_t expected_oldest = 0;
        for (std::size_t i = 0; i < items.size(); ++i) {
            deque.push(&items[i]);
            if (i % 3 == 0) {
                CHECK(deque.steal().item == &items[expected_oldest++]);
            }
        }
        for (std::size_t i = items.size(); i-- > expected_oldest;) {
            CHECK(deque.pop() == &items[i]);
        }
        CHECK(deque.looks_empty());
    }

    TEST_CASE("one thief and the owner take every item exactly once at capacity 2") {
        conserve(2, 1, 200'000, 3);
    }

    TEST_CASE("three thieves and the owner take every item exactly once while the deque grows") {
        conserve(2, 3, 200'000, 40);
    }

    TEST_CASE("the race for the last item has one winner") {
        conserve(2, 2, 100'000, 1);
    }
}
