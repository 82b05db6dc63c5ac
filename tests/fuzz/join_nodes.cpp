// Joins: nodes whose children run one after the other, or beside each other.

#include <weft/runtime/join/all_settled.hpp>
#include <weft/runtime/join/as_completed.hpp>
#include <weft/runtime/join/first_success.hpp>
#include <weft/runtime/join/when_all.hpp>
#include <weft/runtime/join/when_any.hpp>
#include <weft/runtime/ranges/sequence.hpp>
#include <weft/tests/fuzz/world.hpp>

#include <utility>

namespace weft::fuzz {
namespace {

int fold_all(std::vector<parcel> const& values) {
    int total = 0;
    for (parcel const& each : values) {
        total = fold(total, each.value);
    }
    return total;
}

int value_of(settled<parcel> const& ended) {
    if (ended.was_stopped()) {
        return value_of_stop;
    }
    return ended.has_value() ? ended->value : value_of_error(numbers_of(ended.error()).front());
}

work in_turn(world& here, instance& self) {
    auto doing = sequence(run_children(here, self));
    std::vector<parcel> const values = co_await std::move(doing);
    co_return here.make(fold_all(values));
}

work together(world& here, instance& self) {
    std::vector<work> children = run_children(here, self);
    std::vector<parcel> const values = co_await when_all(std::move(children));
    co_return here.make(fold_all(values));
}

work two_together(world& here, instance& self) {
    work left = run_child(here, self, 0);
    work right = run_child(here, self, 1);
    auto const [first, second] = co_await when_all(std::move(left), std::move(right));
    co_return here.make(fold(fold(0, first.value), second.value));
}

work settle_all(world& here, instance& self) {
    std::vector<work> children = run_children(here, self);
    std::vector<settled<parcel>> const ended = co_await all_settled(std::move(children));
    int total = 0;
    for (settled<parcel> const& each : ended) {
        total = fold(total, value_of(each));
    }
    co_return here.make(total);
}

work settle_two(world& here, instance& self) {
    work left = run_child(here, self, 0);
    work right = run_child(here, self, 1);
    auto const [first, second] = co_await all_settled(std::move(left), std::move(right));
    co_return here.make(fold(fold(0, value_of(first)), value_of(second)));
}

work any_of(world& here, instance& self) {
    std::vector<work> children = run_children(here, self);
    auto const first = co_await when_any(std::move(children));
    co_return here.make(fold(static_cast<int>(first.index), first.value.value));
}

work race_of(world& here, instance& self) {
    std::vector<work> children = run_children(here, self);
    parcel const first = co_await race(std::move(children));
    co_return here.make(first.value);
}

work success_of(world& here, instance& self) {
    std::vector<work> children = run_children(here, self);
    parcel const first = co_await first_success(std::move(children));
    co_return here.make(first.value);
}

/// Takes as many outcomes as the node says. The frame of a child is gone when its outcome is there.
work take_completed(world& here, instance& self, completions<parcel>& outcomes) {
    int const children = static_cast<int>(self.what().children.size());
    int total = 0;
    int taken = 0;
    while (taken != static_cast<int>(self.what().a)) {
        auto next = co_await outcomes.next();
        if (!next.has_value()) {
            break;
        }
        ++taken;
        if (self.frames() > children - taken) {
            here.book.fail(self.what(), "an outcome was there before its frame had gone");
        }
        total = fold(fold(total, static_cast<int>(next->index)), value_of(*next));
    }
    co_return here.make(total);
}

work as_they_come(world& here, instance& self) {
    auto const take = [&here, &self](completions<parcel>& outcomes) {
        return take_completed(here, self, outcomes);
    };
    std::vector<work> children = run_children(here, self);
    parcel total = co_await as_completed(std::move(children), take);
    co_return total;
}

}  // namespace

work do_join(world& here, instance& self) {
    switch (self.what().what) {
        case kind::sequence:
            return in_turn(here, self);
        case kind::when_all:
            return together(here, self);
        case kind::when_all_pair:
            return two_together(here, self);
        case kind::all_settled:
            return settle_all(here, self);
        case kind::all_settled_pair:
            return settle_two(here, self);
        case kind::when_any:
            return any_of(here, self);
        case kind::race:
            return race_of(here, self);
        case kind::first_success:
            return success_of(here, self);
        default:
            return as_they_come(here, self);
    }
}

}  // namespace weft::fuzz
