// Leaves that end by themselves.

#include <weft/runtime/scope/this_task.hpp>
#include <weft/tests/fuzz/world.hpp>

#include <stdexcept>
#include <string>
#include <system_error>

namespace weft::fuzz {
namespace {

/// A timer's grain, twice: sleeps end no later, where time stands still for work.
constexpr std::int64_t late_most_us = 3;

[[noreturn]] void throw_leaf_error(std::uint32_t number) {
    throw std::system_error(leaf_error(static_cast<int>(number)));
}

work pause_then(world& here, instance& self) {
    node const& what = self.what();
    std::int64_t const began = now_us();
    co_await weft::sleep_for(here.span(what.a));
    std::int64_t const took = now_us() - began;
    if (here.where == setting::virtual_time &&
        (took < what.a || took > std::int64_t{what.a} + late_most_us)) {
        here.book.fail(what, "slept " + std::to_string(took) + " us");
    }
    if (what.what == kind::sleep_error) {
        throw_leaf_error(what.b);
    }
    co_return here.make(static_cast<int>(what.b));
}

work give_way(world& here, instance& self) {
    for (std::uint32_t i = 0; i != self.what().a; ++i) {
        co_await yield();
    }
    co_return here.make(static_cast<int>(self.what().b));
}

work look_at_stop(world& here, instance& self) {
    co_await this_task::stop_point();
    co_return here.make(static_cast<int>(self.what().b));
}

work give_or_throw(world& here, instance& self) {
    node const& what = self.what();
    if (what.what == kind::error) {
        throw_leaf_error(what.a);
    }
    if (what.what == kind::odd_error) {
        throw std::runtime_error(std::to_string(what.a));
    }
    if (std::uint32_t const before = here.book.begin_run(what);
        what.what == kind::flaky && before < what.b) {
        throw_leaf_error(what.a);
    }
    co_return here.make(static_cast<int>(what.a));
}

}  // namespace

work do_simple(world& here, instance& self) {
    switch (self.what().what) {
        case kind::sleep:
        case kind::sleep_error:
            return pause_then(here, self);
        case kind::yields:
            return give_way(here, self);
        case kind::stop_point:
            return look_at_stop(here, self);
        default:
            return give_or_throw(here, self);
    }
}

}  // namespace weft::fuzz
