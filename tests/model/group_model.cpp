/// What surrounds a group of children: shards of stop states, periods of grace, groups of errors,
/// and nurseries in other threads' hands.

#include <weft/runtime/scope/scope.hpp>
#include <weft/runtime/scope/stop_on.hpp>
#include <weft/runtime/task/exception_group.hpp>
#include <weft/runtime/time/sleep.hpp>
#include <weft/sync/locks/event.hpp>
#include <weft/tests/model/coroutines.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <memory>
#include <optional>

namespace model = weft::model;
using namespace std::chrono_literals;

namespace {

struct failure {};

weft::task<> write(model::plain<int>& target) {
    target.write(target.read() + 1);
    co_return;
}

weft::task<> sleep_in_frame(model::plain<int>& frames, std::chrono::milliseconds length) {
    model::frame_end const tells(frames);
    co_await weft::sleep_for(length);
}

// --- shards ------------------------------------------------------------------------------
// In models the second child of a group makes them (task_group::few_children).

weft::task<> start_one(weft::nursery& children, model::plain<int>& value) {
    children.spawn_without_handle(sleep_in_frame(value, 1ms));
    co_return;
}

weft::task<> start_from_two_workers(model::plain<int>& sum) {
    model::plain<int> values[2];
    auto body = [&values](weft::nursery& children) -> weft::task<> {
        children.spawn_without_handle(start_one(children, values[0]));
        children.spawn_without_handle(write(values[1]));
        co_return;
    };
    co_await weft::scope(body);
    sum.write(values[0].read() + values[1].read());
}

/// Both workers make shards, or one finds what the other has made.
void shards() {
    model::plain<int> sum{0};
    model::crew workers;
    model::job parent(workers, start_from_two_workers(sum));
    workers.run();
    model::expect(parent.has_value() && sum.read() == 2, "a child did not run once");
}

weft::task<> start_sleepers(model::plain<int>& one, model::plain<int>& other) {
    auto body = [&](weft::nursery& children) -> weft::task<> {
        children.spawn_without_handle(sleep_in_frame(one, 1h));
        children.spawn_without_handle(sleep_in_frame(other, 1h));
        co_return;
    };
    co_await weft::scope(body);
}

/// The second sleeper follows a stop_shard, which must hear of the stop however early it comes.
void stop_through_a_shard() {
    model::plain<int> one{0};
    model::plain<int> other{0};
    {
        model::crew workers(1);
        model::job parent(workers, start_sleepers(one, other));
        auto stops = [&] { parent.request_stop(); };
        model::thread stopper(stops);
        workers.run();
        model::expect(parent.has_value() || parent.was_stopped(), "a stopped scope fails");
    }
    model::expect(model::is_gone(one) && model::is_gone(other), "a frame is not destroyed");
}

// --- grace ------------------------------------------------------------------------------

/// The child that listens to nothing is stopped when the grace is over, and not before.
template <int Milliseconds>
weft::task<> stop_with_grace(model::plain<int>& frames) {
    auto body = [&frames](weft::nursery& children) -> weft::task<> {
        children.spawn(sleep_in_frame(frames, std::chrono::milliseconds(Milliseconds)));
        children.request_stop("enough", weft::stop_options{.grace = 1ms});
        co_return;
    };
    co_await weft::scope(body);
    model::expect(frames.read() == 1, "a child is not waited for");
}

/// The child ends long after the grace, before it, or at the same tick on another worker. The scope
/// and its frame are gone as soon as the later of grace and child has told.
template <int Milliseconds>
void grace() {
    model::plain<int> frames{0};
    model::crew workers;
    model::job parent(workers, stop_with_grace<Milliseconds>(frames));
    workers.run();
    model::expect(frames.read() == 1, "a frame is not destroyed once");
}

using group = weft::detail::task_group;

constexpr weft::time_span a_millisecond(1ms);

/// A foreign thread begins the grace of a group that a foreign thread joins: before its only child,
/// after it, or while it ends.
void grace_against_the_last_child() {
    model::plain<int> value{0};
    model::crew workers(1);
    workers.keep_open();
    auto works = [&] { workers.run(); };
    model::thread worker(works);
    {
        auto const root =
            std::make_unique<group>(&workers.sched(), weft::detail::on_error::keep_going);
        auto asks = [&] { (void)root->request_stop("enough", a_millisecond); };
        root->start_plain(write(value));
        model::thread asking(asks);
        root->join_blocking();
        asking.join();
        model::expect(value.read() == 1, "a child did not run once");
    }
    workers.close();
}

/// Of two that give a grace the first counts.
void two_graces() {
    model::plain<int> frames{0};
    unsigned count = 0;
    model::crew workers(1);
    workers.keep_open();
    auto works = [&] { workers.run(); };
    model::thread worker(works);
    {
        auto const root =
            std::make_unique<group>(&workers.sched(), weft::detail::on_error::keep_going);
        root->start_plain(sleep_in_frame(frames, 1h));
        bool is_first = false;
        auto asks = [&] { is_first = root->request_stop("enough", a_millisecond); };
        model::thread asking(asks);
        count = root->request_stop("enough", a_millisecond) ? 1 : 0;
        asking.join();
        count += is_first ? 1 : 0;
        root->join_blocking();
    }
    model::expect(count <= 1 && frames.read() == 1, "two graces count, or no child is stopped");
    workers.close();
}

weft::task<> wait_in_frame(weft::manual_reset_event& signal, model::plain<int>& frames) {
    model::frame_end const tells(frames);
    co_await signal.wait();
}

weft::task<> end_softly(weft::manual_reset_event& signal, model::plain<int>& frames) {
    (void)co_await (weft::until_soft_stop(wait_in_frame(signal, frames)) | weft::as_result);
}

/// Nothing but the stop brings the child to its end; the group is freed as soon as it is joined,
/// though the thread that asks may not be through.
void group_freed_during_a_graced_stop() {
    weft::manual_reset_event nobody_sets;
    model::plain<int> frames{0};
    model::crew workers(1);
    workers.keep_open();
    auto works = [&] { workers.run(); };
    model::thread worker(works);
    {
        auto root = std::make_unique<group>(&workers.sched(), weft::detail::on_error::keep_going);
        auto asks = [&group = *root] { (void)group.request_stop("enough", a_millisecond); };
        root->start_plain(end_softly(nobody_sets, frames));
        model::thread asking(asks);
        root->join_blocking();
        root.reset();
        asking.join();
        model::expect(frames.read() == 1, "a child is not waited for");
    }
    workers.close();
}

/// A thread that works in the group, and has no child in it, is waited for, or comes too late.
void visited_against_the_join() {
    model::plain<int> value{0};
    model::crew workers(1);
    auto const root = std::make_unique<group>(&workers.sched(), weft::detail::on_error::report);
    auto visits = [&] {
        if (root->count_child()) {
            value.write(1);
            root->leave();
        }
    };
    model::thread visitor(visits);
    root->join_blocking();
    int const at_end = value.read();
    visitor.join();
    model::expect(value.read() == at_end && root->children() == 0, "a visit is not waited for");
}

// --- groups of errors ---------------------------------------------------------------------

/// Copies in several threads; the last to go frees what they share.
void errors_in_two_threads() {
    std::exception_ptr const errors[] = {std::make_exception_ptr(failure{}),
                                         std::make_exception_ptr(failure{})};
    auto first = std::make_unique<weft::exception_group>(errors);
    auto second = std::make_unique<weft::exception_group>(*first);
    auto looks = [&second] {
        weft::exception_group const copy(*second);
        second.reset();
        model::expect(copy.errors().size() == 2 && copy.name(0).empty(), "an error is lost");
    };
    model::thread other(looks);
    model::expect(first->errors().size() == 2, "an error is lost");
    first.reset();
}

/// What a hook's function owns: its end reads what the last call wrote.
struct account {
    explicit account(model::plain<int>& calls) noexcept : heard(&calls) {}

    account(account const&) = default;
    account& operator=(account const&) = default;

    ~account() { (void)heard->read(); }

    model::plain<int>* heard;
};

/// One thread calls it, and both drop it; the last to go destroys the function.
void hook_in_two_threads() {
    model::plain<int> calls{0};
    auto hears = [own = account(calls)](std::exception_ptr const&) { own.heard->write(1); };
    auto first = std::make_unique<weft::error_hook>(hears);
    auto second = std::make_unique<weft::error_hook>(*first);
    auto tells = [&second] {
        weft::detail::report_lost_error(second->listener(), std::make_exception_ptr(failure{}));
        second.reset();
    };
    model::thread other(tells);
    first.reset();
    other.join();
    model::expect(calls.read() == 1, "an error is not heard");
}

// --- nurseries in other threads -------------------------------------------------------------

/// What a body hands to a foreign thread, which may come when the scope is gone.
struct passage {
    std::optional<weft::remote_nursery> nursery;
    model::plain<int>* value = nullptr;
    bool stops = false;
    std::size_t refused = 0;
    unsigned thread = 0;

    static void use(void* argument) noexcept {
        auto& self = *static_cast<passage*>(argument);
        if (self.stops) {
            (void)self.nursery->request_stop();
        } else {
            self.nursery->spawn(write(*self.value));
            self.refused = self.nursery->refused();
        }
        self.nursery.reset();
    }
};

weft::task<> hand_nursery_over(passage& hand) {
    auto body = [&hand](weft::nursery& children) -> weft::task<> {
        if (hand.stops) {
            children.spawn_without_handle(sleep_in_frame(*hand.value, 1h));
        }
        hand.nursery.emplace(children.remote());
        hand.thread = model::thread::start(&passage::use, &hand);
        co_return;
    };
    co_await weft::scope(body);
}

template <bool Stops>
void remote_against_end() {
    model::plain<int> value{0};
    passage hand;
    hand.value = &value;
    hand.stops = Stops;
    model::crew workers(1);
    model::job parent(workers, hand_nursery_over(hand));
    workers.run();
    model::thread::join(hand.thread);
    model::expect(value.read() + static_cast<int>(hand.refused) == 1,
                  "a task from elsewhere neither ran nor was refused");
}

// --- limits ---------------------------------------------------------------------------------

weft::task<> start_one_at_a_time(model::plain<int>& value) {
    auto body = [&value](weft::nursery& children) -> weft::task<> {
        children.set_limit(1);
        (void)co_await children.spawn_when_free(write(value));
        (void)co_await children.spawn_when_free(write(value));
    };
    co_await weft::scope(body);
}

/// A slot passes from the child that ends to the one that waits for it, which nobody overtakes.
void one_slot() {
    model::plain<int> value{0};
    model::crew workers;
    model::job parent(workers, start_one_at_a_time(value));
    workers.run();
    model::expect(parent.has_value() && value.read() == 2, "a child did not run once");
}

weft::task<> hold_the_slot(model::gate& end) {
    co_await end;
}

weft::task<> want_the_slot(model::gate& end, model::plain<int>& value) {
    auto body = [&](weft::nursery& children) -> weft::task<> {
        model::gate_opener const opens(end);
        children.set_limit(1);
        (void)co_await children.spawn_when_free(hold_the_slot(end));
        (void)co_await children.spawn_when_free(write(value));
    };
    co_await weft::scope(body);
}

/// The slot is held until the body has given up: only a stop can make it.
void stopped_behind_a_child() {
    model::gate end;
    model::plain<int> value{0};
    {
        model::crew workers(1);
        model::job parent(workers, want_the_slot(end, value));
        auto stops = [&] { parent.request_stop(); };
        model::thread stopper(stops);
        workers.run();
        model::expect(parent.was_stopped(), "a slot is given to two");
    }
    model::expect(value.read() == 0, "a child runs without a slot");
}

weft::task<> fill_the_slot(model::plain<int>& frames) {
    auto body = [&frames](weft::nursery& children) -> weft::task<> {
        children.set_limit(1);
        (void)co_await children.spawn_when_free(sleep_in_frame(frames, 1ms));
        (void)co_await children.spawn_when_free(sleep_in_frame(frames, 1ms));
    };
    co_await weft::scope(body);
}

/// The stop meets whoever waits for the slot, or is on its way there, or has got it.
void stopped_before_the_slot() {
    model::plain<int> frames{0};
    {
        model::crew workers(1);
        model::job parent(workers, fill_the_slot(frames));
        auto stops = [&] { parent.request_stop(); };
        model::thread stopper(stops);
        workers.run();
        model::expect(parent.has_value() || parent.was_stopped(), "a stopped scope fails");
    }
    model::expect(frames.read() <= 2, "a child ran twice");
}

}  // namespace

TEST_SUITE("model/group") {
    TEST_CASE("children that share stop states are waited for, and hear of every stop") {
        CHECK(model::explore("shards", &shards, {.stale_reads = 1}));
        CHECK(model::explore("stop_through_a_shard", &stop_through_a_shard, {.stale_reads = 1}));
    }

    TEST_CASE("after a period of grace the later of its end and the last child ends the group") {
        CHECK(model::explore("grace_ends_first", &grace<2>, {.stale_reads = 1}));
        CHECK(model::explore("grace_ends_at_the_same_time", &grace<1>, {.stale_reads = 1}));
        CHECK(model::explore("grace_is_not_used", &grace<0>, {.stale_reads = 1}));
        CHECK(model::explore(
            "grace_against_the_last_child", &grace_against_the_last_child, {.stale_reads = 1}));
        CHECK(model::explore("two_graces", &two_graces, {.stale_reads = 0}));
        CHECK(model::explore("visited_against_the_join", &visited_against_the_join));
        CHECK(model::explore("group_freed_during_a_graced_stop",
                             &group_freed_during_a_graced_stop,
                             {.stale_reads = 1}));
    }

    TEST_CASE("copies of a group of errors are read and dropped in any thread") {
        CHECK(model::explore("errors_in_two_threads", &errors_in_two_threads));
    }

    TEST_CASE("a hook for errors is called and dropped in any thread") {
        CHECK(model::explore("hook_in_two_threads", &hook_in_two_threads));
    }

    TEST_CASE("a nursery in a foreign thread starts its task, or refuses it when the scope ends") {
        CHECK(model::explore("remote_spawn", &remote_against_end<false>, {.stale_reads = 1}));
        CHECK(model::explore("remote_stop", &remote_against_end<true>, {.stale_reads = 1}));
    }

    TEST_CASE("a slot of a limited nursery passes to the next in line, or is given up by a stop") {
        CHECK(model::explore("one_slot", &one_slot, {.stale_reads = 1}));
        CHECK(model::explore(
            "stopped_before_the_slot", &stopped_before_the_slot, {.stale_reads = 0}));
        CHECK(
            model::explore("stopped_behind_a_child", &stopped_behind_a_child, {.stale_reads = 0}));
    }
}
