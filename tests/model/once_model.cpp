/// once and lazy of sync/.

#include <weft/runtime/task/as_result.hpp>
#include <weft/sync/locks/once.hpp>
#include <weft/tests/model/coroutines.hpp>

#include <doctest/doctest.h>

#include <stdexcept>

namespace model = weft::model;

namespace {

struct site {
    weft::once once;
    model::plain<int> runs{0};
    model::plain<int> failures_left{0};
};

weft::task<> run(site& here) {
    here.runs.write(here.runs.read() + 1);
    co_await model::reschedule{};
    if (here.failures_left.read() != 0) {
        here.failures_left.write(here.failures_left.read() - 1);
        throw std::runtime_error("not yet");
    }
}

weft::task<> call(site& here) {
    auto const what = [&here] { return run(here); };
    co_await here.once.call(what);
    model::expect(here.runs.read() >= 1, "a caller goes on before it is done");
}

void two_callers() {
    site here;
    model::crew workers;
    model::job one(workers, call(here));
    model::job other(workers, call(here));
    workers.run();
    model::expect(one.has_value() && other.has_value(), "a caller is lost");
    model::expect(here.runs.read() == 1 && here.once.is_done(), "it is not done once");
}

/// The first run fails: the other caller, who waits or is to come, does it.
void first_fails() {
    site here;
    here.failures_left.write(1);
    model::crew workers;
    model::job one(workers, call(here));
    model::job other(workers, call(here));
    workers.run();
    model::expect(one.has_error() != other.has_error(), "an error is lost, or told twice");
    model::expect(here.runs.read() == 2 && here.once.is_done(), "nobody has tried again");
}

/// Two runs fail, and the third caller may come between them.
void two_fail() {
    site here;
    here.failures_left.write(2);
    model::crew workers(3);
    model::job one(workers, call(here));
    model::job two(workers, call(here));
    model::job three(workers, call(here));
    workers.run();
    model::expect(here.runs.read() == 3 && here.once.is_done(), "nobody has tried again");
}

weft::task<> look(site& here) {
    if (here.once.is_done()) {
        model::expect(here.runs.read() == 1, "it is done, and was not");
    }
    co_return;
}

/// Somebody looks while a caller waits for the run.
void looked_at() {
    site here;
    model::crew workers(3);
    model::job one(workers, call(here));
    model::job two(workers, call(here));
    model::job looks(workers, look(here));
    workers.run();
}

/// The stop meets the caller that runs, or the one that waits.
void stopped_caller() {
    site here;
    model::crew workers;
    model::job one(workers, call(here));
    model::job other(workers, call(here));
    auto stops = [&] { one.request_stop(); };
    model::thread stopper(stops);
    workers.run();
    model::expect(other.has_value() && here.once.is_done(), "a caller is lost");
    model::expect(here.runs.read() <= 2, "it is done again");
}

weft::task<int> make() {
    co_await model::reschedule{};
    co_return 7;
}

weft::task<> ask(weft::lazy<int>& wanted) {
    int const& value = co_await wanted.value();
    model::expect(value == 7, "a value is seen before it is there");
}

void lazy_value() {
    weft::lazy<int> wanted(make);
    model::crew workers;
    model::job one(workers, ask(wanted));
    model::job two(workers, ask(wanted));
    model::job three(workers, ask(wanted));
    workers.run();
    model::expect(one.has_value() && two.has_value() && three.has_value(), "a caller is lost");
}

}  // namespace

TEST_SUITE("model/once") {
    TEST_CASE("one caller does it, and the others go on when it is done") {
        CHECK(model::explore("two_callers", &two_callers, {.stale_reads = 1}));
        CHECK(model::explore("lazy_value", &lazy_value, {.stale_reads = 1}));
    }

    TEST_CASE("who fails or is stopped leaves it to the next") {
        CHECK(model::explore("first_fails", &first_fails, {.stale_reads = 1}));
        CHECK(model::explore("two_fail", &two_fail, {.stale_reads = 0}));
        CHECK(model::explore("looked_at", &looked_at, {.stale_reads = 1}));
        CHECK(model::explore("stopped_caller", &stopped_caller, {.stale_reads = 1}));
    }
}
