/// The search's reduction (footprint.hpp): it leaves out executions, and no outcome. Programs drawn
/// at random are searched with and without it.

#include <weft/tests/model/machine.hpp>
#include <weft/tests/support/seed.hpp>

#include <doctest/doctest.h>

#include <cstdlib>
#include <deque>
#include <set>
#include <vector>

namespace model = weft::model;
using namespace weft::detail;

namespace {

using weft::test::random_numbers;

constexpr std::size_t location_count = 2;
constexpr std::uint64_t deadline = 100;

enum class action : std::uint8_t {
    load,
    store,
    add,
    exchange_if_zero,
    fence,
    lock_and_add,
    use_plain,
    wait,
    notify,
    look_at_clock,
    spin,
    make_and_use,
    count
};

struct operation {
    action what;
    std::size_t where;
    model::order how;
    unsigned value;
};

using program = std::vector<std::vector<operation>>;

/// What all threads have read, one after the other.
using outcome = std::vector<std::vector<std::uint64_t>>;

program const* checked = nullptr;
outcome found;

model::order pick_order(random_numbers& random, bool loads, bool stores) {
    using model::order;
    switch (random.below(3)) {
        case 0:
            return order::relaxed;
        case 1:
            return order::seq_cst;
        default:
            return loads && stores ? order::acq_rel : loads ? order::acquire : order::release;
    }
}

program draw(random_numbers& random) {
    program drawn(2 + random.below(2));
    for (auto& thread : drawn) {
        std::size_t const length = 2 + random.below(5 - drawn.size());
        for (std::size_t i = 0; i < length; ++i) {
            auto what = static_cast<action>(random.below(static_cast<unsigned>(action::count)));
            if (what == action::use_plain && !random.one_in(8)) {
                what = action::load;  // most programs are to be free of races
            }
            thread.push_back({what,
                              random.below(location_count),
                              pick_order(random, what != action::store, what != action::load),
                              1U << random.below(8)});
        }
    }
    return drawn;
}

/// What the threads of a program share.
struct shared_data {
    atomic<unsigned> words[location_count];
    model::plain<unsigned> data{0};
    unsigned locked_sum = 0;
    char mutex = 0;
    char condition = 0;
};

std::uint64_t execute(operation const& each, shared_data& shared) {
    auto& word = shared.words[each.where];
    switch (each.what) {
        case action::load:
            return word.load(each.how);
        case action::store:
            word.store(each.value, each.how);
            return 0;
        case action::add:
            return word.fetch_add(each.value, each.how);
        case action::exchange_if_zero: {
            unsigned expected = 0;
            (void)word.compare_exchange_weak(expected, each.value, each.how, relaxed);
            return expected;
        }
        case action::fence:
            if (each.value < 4) {
                fence_seq_cst();
            } else if (each.value < 32) {
                fence_light();
            } else {
                fence_heavy();
            }
            return 0;
        case action::lock_and_add: {
            model::lock(&shared.mutex);
            auto const before = shared.locked_sum;
            shared.locked_sum += each.value;
            model::unlock(&shared.mutex);
            return before;
        }
        case action::use_plain:
            if (each.value < 16) {
                return shared.data.read();
            }
            shared.data.write(each.value);
            return 0;
        case action::wait: {
            model::lock(&shared.mutex);
            bool const told = model::wait(&shared.condition, &shared.mutex, deadline);
            model::unlock(&shared.mutex);
            return told ? 1 : 0;
        }
        case action::notify:
            model::notify(&shared.condition);
            return 0;
        case action::look_at_clock:
            return word.load(each.how) + (model::now() << 16U);
        case action::spin:
            for (int round = 0; round < 2 && word.load(each.how) == 0; ++round) {
                cpu_relax();
            }
            return 0;
        default: {
            atomic<unsigned> own{each.value};
            return own.fetch_add(word.load(each.how), relaxed);
        }
    }
}

void run_program() {
    shared_data shared;
    auto run_thread = [&](std::size_t index) {
        for (operation const& each : (*checked)[index]) {
            found[index].push_back(execute(each, shared));
        }
    };

    struct hand {
        decltype(run_thread)* run;
        std::size_t index;

        void operator()() const { (*run)(index); }
    };

    std::deque<hand> hands;
    std::deque<model::thread> threads;
    for (std::size_t i = 1; i < checked->size(); ++i) {
        threads.emplace_back(hands.emplace_back(hand{&run_thread, i}));
    }
    run_thread(0);
}

struct search_result {
    std::set<outcome> outcomes;  // an empty one stands for a failure
    std::size_t executions = 0;
};

search_result search(program const& searched, model::options const& bounds) {
    search_result result;
    model::machine& machine = model::the_machine();
    checked = &searched;
    machine.set_bounds(bounds);
    machine.set_bounded(true);
    machine.next.start_search();
    do {
        found.assign(searched.size(), {});
        bool const good = machine.execute(&run_program);
        result.outcomes.insert(good ? found : outcome{});
        ++result.executions;
    } while (machine.next.advance());
    return result;
}

std::size_t program_count() {
    char const* const text = std::getenv("WEFT_MODEL_RANDOM");
    return text != nullptr ? std::strtoull(text, nullptr, 0) / 20 : 500;
}

}  // namespace

TEST_SUITE("model/reduction") {
    TEST_CASE("a reduced search finds every outcome and every failure of the whole one") {
        std::uint64_t const seed = weft::test::fresh_seed();
        CAPTURE(seed);
        std::size_t whole_count = 0;
        std::size_t reduced_count = 0;
        for (std::size_t i = 0; i < program_count(); ++i) {
            CAPTURE(i);
            random_numbers random(seed + i);
            program const drawn = draw(random);
            model::options bounds{.preemptions = static_cast<unsigned>(random.below(4)),
                                  .stale_reads = static_cast<unsigned>(random.below(2)),
                                  .membarrier = random.one_in(2)};
            search_result const reduced = search(drawn, bounds);
            bounds.reduce = false;
            search_result const whole = search(drawn, bounds);
            REQUIRE(reduced.outcomes == whole.outcomes);
            whole_count += whole.executions;
            reduced_count += reduced.executions;
        }
        MESSAGE("executions: " << whole_count << ", reduced: " << reduced_count);
        CHECK(reduced_count < whole_count - whole_count / 4);
    }
}
