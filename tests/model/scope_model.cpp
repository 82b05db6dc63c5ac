/// Scopes, and the group of children that they are made of.

#include <weft/runtime/scope/scope.hpp>
#include <weft/runtime/time/sleep.hpp>
#include <weft/sync/locks/event.hpp>
#include <weft/tests/model/coroutines.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <memory>

namespace model = weft::model;
using namespace std::chrono_literals;

namespace {

struct failure {};

weft::task<> write(model::plain<int>& target) {
    target.write(target.read() + 1);
    co_return;
}

weft::task<> fail() {
    throw failure{};
    co_return;
}

weft::task<> sleep_long(model::plain<int>& frames) {
    model::frame_end const tells(frames);
    co_await weft::sleep_for(1h);
}

// --- scopes that end well -------------------------------------------------------------

weft::task<> scope_of_two(model::plain<int>& sum) {
    model::plain<int> values[2];
    auto body = [&values](weft::nursery& children) -> weft::task<> {
        children.spawn(write(values[0]));
        children.spawn(write(values[1]));
        co_return;
    };
    co_await weft::scope(body);
    sum.write(values[0].read() + values[1].read());
}

/// The awaiting frame, with the scope in it, is gone as soon as it has gone on.
void two() {
    model::plain<int> sum{0};
    model::crew workers;
    model::job parent(workers, scope_of_two(sum));
    workers.run();
    model::expect(parent.has_value() && sum.read() == 2, "a child did not run once");
}

weft::task<> scope_in_a_child(model::plain<int>& sum) {
    co_await scope_of_two(sum);
}

weft::task<> forgotten_scope(model::plain<int>& sum) {
    auto body = [&sum](weft::nursery& children) -> weft::task<> {
        children.spawn(scope_in_a_child(sum));
        co_return;
    };
    co_await weft::scope(body);
}

/// A scope in a child's frame, which the child's end frees, inside another scope.
void freed_at_once() {
    model::plain<int> sum{0};
    model::crew workers;
    model::job parent(workers, forgotten_scope(sum));
    workers.run();
    model::expect(parent.has_value() && sum.read() == 2, "a child did not run once");
}

weft::task<> spawn_another(weft::nursery& children, model::plain<int>& value) {
    children.spawn(write(value));
    co_return;
}

weft::task<> scope_of_spawner(model::plain<int>& sum) {
    model::plain<int> value{0};
    auto body = [&value](weft::nursery& children) -> weft::task<> {
        children.spawn(spawn_another(children, value));
        co_return;
    };
    co_await weft::scope(body);
    sum.write(value.read());
}

/// The count of children must not touch 0 between a child's spawn and its own end.
void spawned_by_a_child() {
    model::plain<int> sum{0};
    model::crew workers;
    model::job parent(workers, scope_of_spawner(sum));
    workers.run();
    model::expect(parent.has_value() && sum.read() == 1, "a child of a child is not waited for");
}

// --- errors ---------------------------------------------------------------------------

template <bool FailsFirst>
weft::task<> scope_with_failure() {
    model::plain<int> frames{0};
    auto body = [&frames](weft::nursery& children) -> weft::task<> {
        if (FailsFirst) {
            children.spawn(fail());
            children.spawn(sleep_long(frames));
        } else {
            children.spawn(sleep_long(frames));
            children.spawn(fail());
        }
        co_return;
    };
    bool caught = false;
    try {
        co_await weft::scope(body);
    } catch (failure const&) {
        caught = true;
    }
    model::expect(caught, "an error of a child is lost");
    model::expect(frames.read() == 1, "a frame is not destroyed once");
}

template <bool FailsFirst>
void failing() {
    model::crew workers;
    model::job parent(workers, scope_with_failure<FailsFirst>());
    workers.run();
    model::expect(parent.has_value(), "a scope does not end");
}

weft::task<> wait_for_ever() {
    weft::manual_reset_event never;
    co_await never.wait();
}

weft::task<> scope_with_endless_child(bool& caught) {
    auto body = [](weft::nursery& children) -> weft::task<> {
        children.spawn(wait_for_ever());
        children.spawn(fail());
        co_return;
    };
    try {
        co_await weft::scope(body);
    } catch (failure const&) {
        caught = true;
    }
}

/// Nothing but the failure ends the other child.
void failing_beside_an_endless_child() {
    bool caught = false;
    model::crew workers;
    model::job parent(workers, scope_with_endless_child(caught));
    workers.run();
    model::expect(parent.has_value() && caught, "an error of a child is lost");
}

weft::task<> scope_of_two_failures() {
    auto body = [](weft::nursery& children) -> weft::task<> {
        children.spawn(fail());
        children.spawn(fail());
        co_return;
    };
    std::size_t count = 0;
    try {
        co_await weft::scope(body);
    } catch (weft::exception_group const& all) {
        count = all.size();
    }
    model::expect(count == 2, "an error of a child is lost");
}

void two_failures() {
    model::crew workers;
    model::job parent(workers, scope_of_two_failures());
    workers.run();
    model::expect(parent.has_value(), "a scope does not end");
}

// --- stops ----------------------------------------------------------------------------

weft::task<> scope_of_sleepers(model::plain<int>& one, model::plain<int>& other) {
    auto body = [&](weft::nursery& children) -> weft::task<> {
        children.spawn(sleep_long(one));
        co_await sleep_long(other);
    };
    co_await weft::scope(body);
}

void stopped() {
    model::plain<int> one{0};
    model::plain<int> other{0};
    {
        model::crew workers;
        model::job parent(workers, scope_of_sleepers(one, other));
        auto stops = [&] { parent.request_stop(); };
        model::thread stopper(stops);
        workers.run();
        model::expect(parent.has_value() || parent.was_stopped(), "a stopped scope fails");
    }
    model::expect(model::is_gone(one) && model::is_gone(other), "a frame is not destroyed");
}

// --- a group that a foreign thread joins -------------------------------------------------

using group = weft::detail::task_group;

/// What a runtime's destructor does: the group is gone when the join returns.
template <bool Fails>
void joined_by_a_thread() {
    model::plain<int> values[2];
    model::crew workers;
    workers.keep_open();
    auto works = [&] { workers.run(); };
    model::thread worker(works);
    {
        auto const root = std::make_unique<group>(&workers.sched(), weft::detail::on_error::report);
        weft::error_hook const ignores([](std::exception_ptr const&) {});
        root->listener = ignores.listener();
        root->spawn(Fails ? fail() : write(values[0])).drop_handle();
        root->spawn(write(values[1])).drop_handle();
        root->join_blocking();
    }
    model::expect(values[0].read() + values[1].read() == (Fails ? 1 : 2),
                  "a child did not run once");
    workers.close();
}

}  // namespace

TEST_SUITE("model/scope") {
    TEST_CASE("a scope ends once, when its last child has, and may be freed at once") {
        CHECK(model::explore("two", &two));
        CHECK(model::explore("freed_at_once", &freed_at_once, {.stale_reads = 1}));
        CHECK(model::explore("spawned_by_a_child", &spawned_by_a_child));
    }

    TEST_CASE("a failing child stops the others, all are waited for, and no error is lost") {
        CHECK(model::explore("first_fails", &failing<true>, {.stale_reads = 1}));
        CHECK(model::explore("second_fails", &failing<false>, {.stale_reads = 1}));
        CHECK(model::explore("two_failures", &two_failures, {.stale_reads = 1}));
        CHECK(model::explore("failing_beside_an_endless_child",
                             &failing_beside_an_endless_child,
                             {.stale_reads = 0}));
    }

    TEST_CASE("a stop from elsewhere ends body and children once, and then the scope") {
        CHECK(model::explore("stopped", &stopped, {.stale_reads = 0}));
    }

    TEST_CASE("a thread that joins a group may free it at once") {
        CHECK(model::explore("joined_by_a_thread", &joined_by_a_thread<false>, {.stale_reads = 1}));
        CHECK(model::explore(
            "joined_by_a_thread_failing", &joined_by_a_thread<true>, {.stale_reads = 1}));
    }
}
