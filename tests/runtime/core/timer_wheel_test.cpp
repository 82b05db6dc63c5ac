#include <weft/runtime/core/timer_wheel.hpp>

#include <weft/tests/support/seed.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

namespace {

using weft::detail::timer_list;
using weft::detail::timer_node;
using weft::detail::timer_wheel;
using weft::test::random_numbers;

/// With at most so many timers in its first slot, the wheel knows the earliest one exactly.
constexpr std::size_t exact_up_to = 32;

struct timer : timer_node {
    bool overdue_from_the_start = false;
};

/// The wheel beside a sorted map of the same timers; every step compares the two.
class modelled_wheel {
public:
    modelled_wheel(std::uint64_t seed, unsigned time_bits)
        : random_(seed)
        , time_bits_(time_bits)
        , timers_(200) {
        wheel_.start_at(random_.up_to_bits(time_bits));
        for (timer& each : timers_) {
            idle_.push_back(&each);
        }
    }

    ~modelled_wheel() {
        for (auto const& [deadline, each] : model_) {
            CHECK(wheel_.cancel(*each));
        }
        CHECK(wheel_.empty());
    }

    void step() {
        switch (random_.below(8)) {
            case 0:
            case 1:
            case 2:
                insert();
                break;
            case 3:
                cancel();
                break;
            case 4:
                advance_to(later(random_.up_to_bits(time_bits_)));
                break;
            case 5:
                advance_to(later(random_.up_to_bits(7)));
                break;
            case 6:
                advance_to_next_expiry();
                break;
            default:
                stop_short_of_the_earliest();
                break;
        }
        compare();
    }

private:
    using entry = std::multimap<std::uint64_t, timer*>::iterator;

    [[nodiscard]] std::uint64_t later(std::uint64_t ticks) const {
        return wheel_.now() + std::min(ticks, timer_wheel::never - 1 - wheel_.now());
    }

    [[nodiscard]] std::uint64_t some_deadline() {
        if (random_.one_in(8)) {
            return wheel_.now() - std::min(wheel_.now(), random_.up_to_bits(time_bits_));
        }
        if (random_.one_in(64)) {
            return timer_wheel::never - random_.below(2);
        }
        if (!model_.empty() && random_.one_in(8)) {
            return model_.rbegin()->first;
        }
        return later(random_.up_to_bits(time_bits_));
    }

    void insert() {
        if (idle_.empty()) {
            return;
        }
        timer& chosen = *idle_.back();
        idle_.pop_back();
        std::uint64_t const deadline = some_deadline();
        chosen.overdue_from_the_start = deadline <= wheel_.now();
        wheel_.insert(chosen, deadline);
        CHECK(chosen.deadline() == deadline);
        model_.emplace(deadline, &chosen);
    }

    void cancel() {
        timer& chosen = timers_[random_.below(timers_.size())];
        entry const found = find(chosen);
        CHECK(wheel_.cancel(chosen) == (found != model_.end()));
        if (found != model_.end()) {
            forget(found);
        }
    }

    void advance_to(std::uint64_t now) {
        timer_list expired;
        wheel_.advance(now, expired);
        CHECK(wheel_.now() == now);
        if (timer_node* const first = expired.front(); first != nullptr && random_.one_in(4)) {
            CHECK(wheel_.cancel(*first));
            CHECK(!wheel_.cancel(*first));
            take(*first, now);
        }
        std::uint64_t previous = 0;
        while (timer_node* const node = expired.pop_front()) {
            if (!static_cast<timer*>(node)->overdue_from_the_start) {
                CHECK(node->deadline() >= previous);
                previous = node->deadline();
            }
            CHECK(!wheel_.cancel(*node));
            take(*node, now);
        }
        CHECK((model_.empty() || model_.begin()->first > now));
    }

    void advance_to_next_expiry() {
        if (std::uint64_t const next = wheel_.next_expiry(); next != timer_wheel::never) {
            advance_to(next);
        }
    }

    void stop_short_of_the_earliest() {
        if (!model_.empty() && model_.begin()->first > wheel_.now()) {
            std::size_t const before = model_.size();
            advance_to(model_.begin()->first - 1);
            CHECK(model_.size() == before);
        }
    }

    void take(timer_node& node, std::uint64_t now) {
        CHECK(node.deadline() <= now);
        entry const found = find(static_cast<timer&>(node));
        REQUIRE(found != model_.end());
        forget(found);
    }

    [[nodiscard]] entry find(timer& wanted) {
        auto const [first, last] = model_.equal_range(wanted.deadline());
        entry const found =
            std::find_if(first, last, [&](auto const& each) { return each.second == &wanted; });
        return found == last ? model_.end() : found;
    }

    void forget(entry gone) {
        idle_.push_back(gone->second);
        model_.erase(gone);
    }

    void compare() {
        CHECK(wheel_.size() == model_.size());
        std::uint64_t const next = wheel_.next_expiry();
        if (model_.empty()) {
            CHECK(next == timer_wheel::never);
            return;
        }
        std::uint64_t const earliest = std::max(model_.begin()->first, wheel_.now());
        CHECK(next <= earliest);
        CHECK(next >= wheel_.now());
        if (model_.size() <= exact_up_to) {
            CHECK(next == earliest);
        }
    }

    random_numbers random_;
    unsigned time_bits_;
    std::vector<timer> timers_;
    std::vector<timer*> idle_;
    std::multimap<std::uint64_t, timer*> model_;
    timer_wheel wheel_;
};

std::size_t drain(timer_list& expired) {
    std::size_t count = 0;
    while (expired.pop_front() != nullptr) {
        ++count;
    }
    return count;
}

}  // namespace

TEST_SUITE("runtime/core/timer_wheel") {
    TEST_CASE("an empty wheel expires nothing and has no next expiry") {
        timer_wheel wheel;
        timer_list expired;
        wheel.advance(1'000'000, expired);
        CHECK(expired.empty());
        CHECK(wheel.now() == 1'000'000);
        CHECK(wheel.next_expiry() == timer_wheel::never);
        timer_node never_inserted;
        CHECK(!wheel.cancel(never_inserted));
    }

    TEST_CASE("a timer of any level expires at its deadline and not one tick earlier") {
        for (std::uint64_t const start : {std::uint64_t{0},
                                          std::uint64_t{63},
                                          std::uint64_t{4095},
                                          std::uint64_t{0x1234'5678'9ABC}}) {
            for (unsigned bit = 0; bit < 64; ++bit) {
                CAPTURE(start);
                CAPTURE(bit);
                std::uint64_t const distance = std::uint64_t{1} << bit;
                timer_wheel wheel;
                wheel.start_at(start);
                timer_node node;
                timer_list expired;
                wheel.insert(node, start + distance);
                CHECK(wheel.next_expiry() == start + distance);
                wheel.advance(start + distance - 1, expired);
                CHECK(expired.empty());
                CHECK(wheel.next_expiry() == start + distance);
                wheel.advance(start + distance, expired);
                CHECK(expired.pop_front() == &node);
                CHECK(wheel.empty());
            }
        }
    }

    TEST_CASE("the last tick of all has a place in the wheel") {
        timer_wheel wheel;
        timer_node node;
        timer_list expired;
        wheel.insert(node, timer_wheel::never);
        wheel.advance(timer_wheel::never - 1, expired);
        CHECK(expired.empty());
        CHECK(wheel.size() == 1);
        wheel.advance(timer_wheel::never, expired);
        CHECK(expired.pop_front() == &node);
    }

    TEST_CASE("a timer that is overdue when it is inserted waits for the next advance") {
        timer_wheel wheel;
        wheel.start_at(100);
        timer_node past;
        timer_node present;
        timer_node future;
        timer_list expired;
        wheel.insert(future, 101);
        wheel.insert(past, 7);
        wheel.insert(present, 100);
        CHECK(wheel.next_expiry() == 100);
        wheel.advance(100, expired);
        CHECK(expired.pop_front() == &past);
        CHECK(expired.pop_front() == &present);
        CHECK(expired.empty());
        CHECK(wheel.next_expiry() == 101);
        CHECK(wheel.cancel(future));
    }

    TEST_CASE("time does not run backwards") {
        timer_wheel wheel;
        wheel.start_at(1000);
        timer_node node;
        timer_list expired;
        wheel.insert(node, 1001);
        wheel.advance(10, expired);
        CHECK(expired.empty());
        CHECK(wheel.now() == 1000);
        CHECK(wheel.next_expiry() == 1001);
        CHECK(wheel.cancel(node));
    }

    TEST_CASE("a timer can be inserted again after it expired and after it was cancelled") {
        timer_wheel wheel;
        timer_node node;
        timer_list expired;
        for (std::uint64_t round = 1; round < 300; ++round) {
            std::uint64_t const deadline = round * 97;
            wheel.insert(node, deadline + 5000);
            CHECK(wheel.cancel(node));
            CHECK(!wheel.cancel(node));
            wheel.insert(node, deadline);
            wheel.advance(deadline, expired);
            CHECK(expired.pop_front() == &node);
        }
        CHECK(wheel.next_expiry() == timer_wheel::never);
    }

    TEST_CASE("an expired timer that nobody has taken yet can still be cancelled, once") {
        timer_wheel wheel;
        timer_node first;
        timer_node second;
        timer_list expired;
        wheel.insert(first, 10);
        wheel.insert(second, 10);
        wheel.advance(10, expired);
        CHECK(wheel.cancel(first));
        CHECK(!wheel.cancel(first));
        CHECK(wheel.empty());
        CHECK(expired.pop_front() == &second);
        CHECK(expired.pop_front() == nullptr);
        CHECK(!wheel.cancel(second));
    }

    TEST_CASE("sleeping until the next expiry reaches a crowded slot's timers in few wake-ups") {
        constexpr std::uint64_t far = std::uint64_t{1} << 40;
        timer_wheel wheel;
        std::vector<timer_node> nodes(100);
        for (std::size_t i = 0; i < nodes.size(); ++i) {
            wheel.insert(nodes[i], far + nodes.size() - i);
        }
        CHECK(wheel.next_expiry() <= far + 1);
        timer_list expired;
        int wake_ups = 0;
        while (expired.empty()) {
            ++wake_ups;
            wheel.advance(wheel.next_expiry(), expired);
        }
        CHECK(wake_ups <= 11);
        CHECK(wheel.now() == far + 1);
        CHECK(drain(expired) == 1);
        wheel.advance(2 * far, expired);
        CHECK(drain(expired) == nodes.size() - 1);
    }

    TEST_CASE("timers expire in the order of their deadlines, whatever levels they wait in") {
        auto const seed = weft::test::fresh_seed();
        CAPTURE(seed);
        random_numbers random(seed);
        timer_wheel wheel;
        std::vector<timer_node> nodes(1000);
        for (timer_node& each : nodes) {
            wheel.insert(each, 1 + random.up_to_bits(62));
        }
        timer_list expired;
        wheel.advance(timer_wheel::never, expired);
        std::uint64_t previous = 0;
        std::size_t count = 0;
        while (timer_node const* const node = expired.pop_front()) {
            CHECK(node->deadline() >= previous);
            previous = node->deadline();
            ++count;
        }
        CHECK(count == nodes.size());
    }

    TEST_CASE("the wheel agrees with a sorted map over random inserts, cancels and advances") {
        auto const seed = weft::test::fresh_seed();
        CAPTURE(seed);
        random_numbers seeds(seed);
        for (unsigned const time_bits : {3U, 6U, 7U, 12U, 18U, 24U, 36U, 48U, 60U, 64U}) {
            CAPTURE(time_bits);
            for (int wheel = 0; wheel < 10; ++wheel) {
                modelled_wheel both(seeds.next(), time_bits);
                for (int step = 0; step < 1000; ++step) {
                    both.step();
                }
            }
        }
    }
}
