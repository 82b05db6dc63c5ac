// Ranges of work, with a limit on what runs at once.

#include <weft/runtime/ranges/for_each.hpp>
#include <weft/runtime/ranges/in_batches.hpp>
#include <weft/runtime/ranges/map.hpp>
#include <weft/runtime/ranges/map_reduce.hpp>
#include <weft/tests/fuzz/world.hpp>

#include <numeric>
#include <utility>

namespace weft::fuzz {
namespace {

int sum_of(std::vector<parcel> const& values) {
    return std::accumulate(values.begin(), values.end(), 0, [](int total, parcel const& each) {
        return total + each.value;
    });
}

int fold_of(std::vector<parcel> const& values) {
    return std::accumulate(values.begin(), values.end(), 0, [](int total, parcel const& each) {
        return fold(total, each.value);
    });
}

std::vector<std::size_t> numbers_below(std::size_t count) {
    std::vector<std::size_t> numbers(count);
    std::iota(numbers.begin(), numbers.end(), std::size_t{0});
    return numbers;
}

/// Runs the child of a number, and sees that no more run at a time than may.
class numbered_child {
public:
    numbered_child(world& here, instance& self, std::atomic<int>& running) noexcept
        : here_(&here)
        , self_(&self)
        , running_(&running) {}

    [[nodiscard]] work operator()(std::size_t index) const {
        return watch(*here_, *self_, *running_, index);
    }

private:
    static work watch(world& here, instance& self, std::atomic<int>& running, std::size_t index) {
        inside const counted_in(running);
        if (counted_in.seen() > static_cast<int>(self.what().a)) {
            here.book.fail(self.what(), "more ran at once than may");
        }
        work doing = run_child(here, self, index);
        co_return co_await std::move(doing);
    }

    world* here_;
    instance* self_;
    std::atomic<int>* running_;
};

task<> and_nothing(numbered_child child, std::size_t index) {
    work doing = child(index);
    co_await std::move(doing);
}

work for_each_of(world& here, instance& self) {
    std::atomic<int> running{0};
    numbered_child const child(here, self, running);
    auto const each = [&child](std::size_t index) { return and_nothing(child, index); };
    auto doing =
        for_each(numbers_below(self.what().children.size()), each, {.limit = self.what().a});
    co_await std::move(doing);
    co_return here.make(0);
}

work map_of(world& here, instance& self) {
    std::atomic<int> running{0};
    numbered_child const child(here, self, running);
    auto doing = map(numbers_below(self.what().children.size()), child, {.limit = self.what().a});
    std::vector<parcel> const values = co_await std::move(doing);
    co_return here.make(fold_of(values));
}

work unordered_map_of(world& here, instance& self) {
    std::atomic<int> running{0};
    numbered_child const child(here, self, running);
    auto doing =
        map_unordered(numbers_below(self.what().children.size()), child, {.limit = self.what().a});
    std::vector<parcel> const values = co_await std::move(doing);
    co_return here.make(sum_of(values));
}

work reduction_of(world& here, instance& self) {
    std::atomic<int> running{0};
    numbered_child const child(here, self, running);
    auto const add = [&here](parcel const& left, parcel const& right) {
        return here.make(left.value + right.value);
    };
    auto doing = map_reduce(numbers_below(self.what().children.size()),
                            child,
                            here.make(0),
                            add,
                            {.limit = self.what().a});
    co_return co_await std::move(doing);
}

work batches_of(world& here, instance& self) {
    auto doing = in_batches(run_children(here, self), {.size = self.what().a});
    std::vector<parcel> const values = co_await std::move(doing);
    co_return here.make(fold_of(values));
}

}  // namespace

work do_range(world& here, instance& self) {
    switch (self.what().what) {
        case kind::for_each:
            return for_each_of(here, self);
        case kind::map:
            return map_of(here, self);
        case kind::map_unordered:
            return unordered_map_of(here, self);
        case kind::map_reduce:
            return reduction_of(here, self);
        default:
            return batches_of(here, self);
    }
}

}  // namespace weft::fuzz
