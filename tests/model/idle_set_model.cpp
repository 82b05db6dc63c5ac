/// Who is woken for an item whose publisher relies on somebody that is awake: on a searcher
/// (idle_set I2, I3) or on the watcher (I5). One ring and no pool: whoever is picked does not run.

#include <weft/runtime/core/idle_set.hpp>
#include <weft/runtime/core/ready_queue.hpp>
#include <weft/tests/model/stepper.hpp>

#include <doctest/doctest.h>

namespace model = weft::model;
using weft::detail::idle_set;
using weft::detail::supply;

namespace {

/// Worker 0 publishes, the last one sleeps, and those between do as the model says.
class workers {
public:
    explicit workers(unsigned count) : idle(count) { idle.begin_sleep(count - 1, false); }

    void publish() {
        model::expect(ring_.try_push(&item_), "the ring is full");
        notify_of_one();
    }

    /// A searcher has found something else, and goes to run it.
    void stop_searching() {
        if (idle.end_search([this] { return look(); }) != supply::none) {
            notify_of_one();
        }
    }

    /// The watcher gets up for work of its own.
    void stop_watching(unsigned watcher) {
        model::expect(!idle.end_sleep(watcher), "the watcher is picked while another one sleeps");
        if (idle.end_watch([this] { return look(); }) != supply::none) {
            notify_of_one();
        }
    }

    [[nodiscard]] unsigned woken() const noexcept { return woken_; }

    idle_set idle;

private:
    [[nodiscard]] supply look() const noexcept {
        return ring_.looks_empty() ? supply::none : supply::one;
    }

    /// As the scheduler does it.
    void notify_of_one() {
        weft::detail::fence_light();
        if (idle.wanted_for_one() && idle.pick() != idle_set::nobody) {
            ++woken_;  // no step lies in it
        }
    }

    weft::detail::ready_queue<int, 2> ring_;
    int item_ = 0;
    unsigned woken_ = 0;
};

void last_searcher() {
    workers all(3);
    model::expect(all.idle.begin_search(), "nobody may search");
    auto searches = [&] { all.stop_searching(); };
    model::thread searcher(searches);
    all.publish();
    searcher.join();
    model::expect(all.woken() == 1, "an item is left behind by the searcher");
}

/// Either may be the last one.
void two_searchers() {
    workers all(4);
    model::expect(all.idle.begin_search() && all.idle.begin_search(), "nobody may search");
    auto searches = [&] { all.stop_searching(); };
    model::thread one(searches);
    model::thread other(searches);
    all.publish();
    one.join();
    other.join();
    model::expect(all.woken() == 1, "an item is left behind by the searchers");
}

void end_of_watch() {
    workers all(3);
    model::expect(all.idle.begin_sleep(1, false, true), "nobody may watch");
    auto watches = [&] { all.stop_watching(1); };
    model::thread watcher(watches);
    all.publish();
    watcher.join();
    model::expect(all.woken() == 1, "an item is left behind by the watcher");
}

/// With the fences that cost nothing on the publisher's side, and with portable ones.
bool explore(char const* name, char const* portable_name, void (*body)()) {
    return model::explore(name, body) && model::explore(portable_name, body, {.membarrier = false});
}

}  // namespace

TEST_SUITE("model/idle_set") {
    TEST_CASE("an item that is published while workers search wakes exactly one") {
        CHECK(explore("last_searcher", "last_searcher_portable", &last_searcher));
        CHECK(explore("two_searchers", "two_searchers_portable", &two_searchers));
    }

    TEST_CASE("a single item that is published while a worker watches wakes exactly one") {
        CHECK(explore("end_of_watch", "end_of_watch_portable", &end_of_watch));
    }
}
